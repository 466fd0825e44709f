import type { Words } from './de'

const count = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`

export const en: Words = {
  presence: { offline: 'Offline', ready: 'Ready', ringing: 'Ringing', talking: 'Talking', after_call_work: 'Wrap-up', paused: 'Paused' },
  certainty: {
    certain: { short: 'Certain', long: 'The caller proved who they are, or there is only one match.' },
    likely: { short: 'Likely', long: 'The number fits. Ask the caller to confirm.' },
    shared: { short: 'Several possible – choose', long: 'Several customers have this number. No file is open yet.' },
    none: { short: 'Unknown', long: 'No customer has this number.' },
    withheld: { short: 'Number withheld', long: 'No number was sent. Ask for name and customer number.' },
  },
  reason: {
    number_unique: 'The number belongs to exactly one customer.',
    number_shared: 'The number belongs to several customers.',
    number_unknown: 'No customer has this number.',
    number_withheld: 'No number was sent.',
    number_invalid: 'What was sent is not a phone number.',
    customer_number: 'The customer number was typed in the menu.',
    customer_number_and_pin: 'Customer number and PIN were typed in the menu.',
    chosen_by_agent: 'Chosen by you.',
    looking_up: 'The CRM is being asked.',
    customer_number_unknown: 'The customer number typed does not exist.',
    crm_unavailable: 'The CRM does not answer. Will be filled in.',
    loose_number: 'The number came without a country code; read that way it fits one customer.',
  },
  state: {
    open: 'open', new: 'new', draft: 'draft', confirmed: 'confirmed', processing: 'in progress', in_progress: 'in progress', packed: 'packed', shipped: 'shipped',
    in_transit: 'on its way', delivered: 'delivered', returned: 'returned', cancelled: 'cancelled', lost: 'lost', backorder: 'back-ordered',
    partial: 'part paid', paid: 'paid', void: 'void', overdue: 'overdue',
  },
  activity: { call: 'Call', mail: 'E-mail', email: 'E-mail', note: 'Note', return: 'Return', order: 'Order', letter: 'Letter' },
  crm: { waiting: 'waiting', delivered: 'in the CRM', dead: 'failed' },
  step: {
    greeting: 'greeting', recognise: 'number checked', language: 'language chosen', privacy: 'privacy notice heard', privacy_number: 'privacy notice heard',
    customer_number: 'asked for customer number', thanks: 'customer number known', to_service_anyway: 'no valid customer number', to_service: 'to customer care', line: 'number dialled', to_orders: 'to orders',
  },
  afterwards: { paused: 'Pause after this call', offline: 'Offline after this call', wrapped: 'Pause after wrap-up' },
  title: 'Callfloor',
  
  logIn: {
    heading: 'Log in', login: 'User name', password: 'Password', submit: 'Log in', busy: 'Logging in …',
    ended: 'Your session has ended. Please log in again.', empty: 'Enter user name and password.',
  },
  link: {
    connecting: 'Connecting …', lost: 'Connection lost', stale: 'What you see may be out of date. Trying again; notes are kept.',
    back: 'Connection is back', parked: 'This page is open in too many other windows; nothing arrives here any more.', here: 'Work here', 
  },
  skip: 'Skip to the call',
  bar: {
    presence: 'Your state', queues: 'Queues', lamps: 'Systems', views: 'Views', waiting: (n) => `${n} waiting`,
    language: 'Deutsch', help: 'Keys', logOut: 'Log out', ready: 'Ready', pause: 'Pause', offline: 'Offline', call: 'Call',
    history: 'History', team: 'Team', outbox: 'CRM outbox',
  },
  lamp: {
    pbx: { in_sync: 'Phone system connected', syncing: 'Phone system is being compared', down: 'Phone system out of reach' },
    crm: { up: 'CRM reachable', down: 'CRM does not answer' },
    outbox: (waiting, dead) =>
      dead > 0 ? `${count(dead, 'entry', 'entries')} not written to the CRM` : waiting > 0 ? `${count(waiting, 'entry waits', 'entries wait')} for the CRM` : 'Everything is in the CRM',
    short: { pbx: 'Phone', crm: 'CRM', outbox: 'Outbox' },
  },
  idle: {
    ready: 'Ready for the next call', paused: 'You are paused', offline: 'You take no calls', other: 'No call on the screen',
    readyText: 'It appears here as soon as your phone rings.', pausedText: 'F2 makes you ready again.', offlineText: 'F2 makes you ready for the calls of your queues.',
    noPhone: 'This account has no phone', noPhoneText: 'A supervisor or administrator can assign one.',
    queues: 'Your queues', queue: 'Queue', waiting: 'Waiting', longest: 'Longest', free: 'Ready', talking: 'Talking', keys: 'Main keys',
    noQueues: 'You belong to no queue.',
  },
  pop: {
    ringing: 'Ringing', talking: 'Talking', held: 'On hold', wrap_up: 'Wrap-up', calls: 'Calls', queue: 'Queue', waited: 'Waiting time', talked: 'Talking time',
    language: 'Language', path: 'Way through the menu', more: (n) => `${n} more`, wholePath: 'The whole way through the menu', noPath: 'no menu', networkName: 'Network name', number: 'Number', customer: 'Customer',
    unknown: 'Unknown', seeking: 'Looking up …', unanswered: 'Not known yet', seekingLong: 'Asking the CRM.', choose: 'Who is calling?',
    chooseHint: 'Choose with a digit. No file opens before that.', again: 'Choose someone else', choosing: 'Opening the file …',
    de: 'German', en: 'English',
    announce: (who, how, queue, waited) => `Call. ${who}. ${how}. Queue ${queue}. Waiting for ${waited}.`,
    gone: 'The call is gone.', talkingTo: (who) => `Talking to ${who}.`, wrapUpFor: (who) => `Call ended. Wrap-up for ${who}.`,
  },
  card: {
    heading: 'Customer card', number: 'Customer number', company: 'Company', email: 'E-mail', phones: 'Phone', blocked: 'Account blocked', orders: 'Orders',
    invoices: 'Invoices', activities: 'Last contacts', noOrders: 'No open order', noInvoices: 'No open invoice', noActivities: 'No contact yet',
    loading: 'Card is loading', failed: 'The CRM does not answer.', failedText: 'The card will be filled in when it is back. You can take the call.',
    none: 'No customer card', noneShared: 'Choose who is calling: then the card opens.', noneUnknown: 'No customer is known for this call.', due: 'due',
    overdue: 'overdue', of: 'of', tracking: 'Parcel', fetched: 'As of', 
  },
  wrap: {
    heading: 'Wrap-up', notes: 'Note', code: 'Outcome of the call', required: 'required', optional: 'optional',
    noteHint: 'Saved as you type; goes to the CRM with the outcome.', finish: 'Finish', finishing: 'Saving …', saved: 'Note saved', saving: 'saving …',
    unsaved: 'Note not saved yet – trying again', pickFirst: 'Choose an outcome first.', failed: 'Not saved.', deadline: 'left', 
    expired: 'Time for wrap-up ran out. This note was kept as a draft.', skip: 'Ready without outcome', later: 'You choose the outcome after the call.',
    done: (code) => `Finished: ${code}`, discard: 'Understood', none: 'This queue needs no outcome.', 
    left: (n) => `${n} characters left`, other: 'Change outcome', otherHint: 'Shift and Tab lead back to the outcome.', missing: 'The outcomes of this queue are not known.',
  },
  history: {
    heading: 'My conversations', headingAll: 'Conversations', time: 'Time', caller: 'Caller', queue: 'Queue', talked: 'Length', code: 'Outcome', agent: 'Agent',
    note: 'Note', crm: 'CRM', empty: 'No conversations yet.', failed: 'The history could not be loaded.', again: 'Try again', missed: 'missed', live: 'live', loading: 'Loading …',
  },
  pause: { heading: 'Why the pause?', hint: 'A digit chooses, Esc cancels.', none: 'No reasons are set up.', plain: 'No reason' },
  team: {
    heading: 'Team', agents: 'Agents', name: 'Name', state: 'State', since: 'For', talksTo: 'Talking to', queues: 'Queues', waiting: 'Waiting callers',
    caller: 'Caller', waitingSince: 'Waiting', nobody: 'Nobody waits.', empty: 'Nobody has a phone.',
  },
  outbox: { heading: 'CRM outbox', what: 'From', agent: 'Agent', code: 'Outcome', state: 'State', tries: 'Attempts', why: 'Last error', next: 'Next attempt', retry: 'Send now', empty: 'Everything is in the CRM.', failed: 'The outbox could not be loaded.', retried: 'Will be sent again.', loading: 'Loading …' },
  help: {
    heading: 'Keys', close: 'Close', single: 'Single keys', singleOn: 'Single keys are on: letters and digits work while no text field has the focus.',
    singleOff: 'Single keys are off. Only function keys, Ctrl+Enter and Esc work.', turnOff: 'Switch off', turnOn: 'Switch on',
    groups: { presence: 'State', call: 'Call and wrap-up', pages: 'Pages' },
    actions: {
      ready: 'Ready', pause: 'Pause – reason by digit', offline: 'Go offline', 'next-call': 'To the next call', candidates: 'Digits choose the caller',
      note: 'Into the note', codes: 'Digits choose the outcome, then comes the note', finish: 'Finish wrap-up', 'view-call': 'Call', 'view-history': 'History', 'view-team': 'Team',
      'view-outbox': 'CRM outbox', help: 'This list', close: 'Close, leave the text field', language: 'German / English', 'log-out': 'Log out', 'other-code': 'From the note back to the outcome', digits: 'Choose from the numbered list',
    },
  },
  fold: (n) => `${n} more`,
  key: { Enter: 'Enter', Escape: 'Esc', Ctrl: 'Ctrl', Shift: 'Shift' },
  problem: { offline: 'The server does not answer. Please try again.', other: (status) => `That did not work (error ${status}).`, dismiss: 'Close', log: 'Messages' },
}
