import type { Certainty, Presence } from '../contract'

const count = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`

const presence: Record<Presence, string> = {
  offline: 'Offline',
  ready: 'Bereit',
  ringing: 'Es klingelt',
  talking: 'Im Gespräch',
  after_call_work: 'Nacharbeit',
  paused: 'Pause',
}

const certainty: Record<Certainty, { short: string; long: string }> = {
  certain: { short: 'Sicher erkannt', long: 'Die Person hat sich ausgewiesen oder wurde eindeutig zugeordnet.' },
  likely: { short: 'Wahrscheinlich', long: 'Die Nummer passt. Bitte im Gespräch bestätigen lassen.' },
  shared: { short: 'Mehrere möglich – bitte wählen', long: 'Diese Nummer haben mehrere Kunden. Noch ist keine Akte geöffnet.' },
  none: { short: 'Unbekannt', long: 'Zu dieser Nummer gibt es keinen Kunden.' },
  withheld: { short: 'Nummer unterdrückt', long: 'Keine Nummer übermittelt. Bitte nach Name und Kundennummer fragen.' },
}

/** Reasons of a match by their stable codes. */
const reason: Record<string, string> = {
  number_unique: 'Die Nummer gehört genau einem Kunden.',
  number_shared: 'Die Nummer gehört mehreren Kunden.',
  number_unknown: 'Die Nummer steht bei keinem Kunden.',
  number_withheld: 'Es wurde keine Nummer übermittelt.',
  number_invalid: 'Was übermittelt wurde, ist keine Rufnummer.',
  customer_number: 'Die Kundennummer wurde in der Ansage eingegeben.',
  customer_number_and_pin: 'Kundennummer und PIN wurden in der Ansage eingegeben.',
  chosen_by_agent: 'Von Ihnen ausgewählt.',
  looking_up: 'Das CRM wird gefragt.',
  customer_number_unknown: 'Die eingegebene Kundennummer gibt es nicht.',
  crm_unavailable: 'Das CRM antwortet nicht. Wird nachgetragen.',
  loose_number: 'Die Nummer kam ohne Ländervorwahl an; so passt sie zu genau einem Kunden.',
}

const state: Record<string, string> = {
  open: 'offen', new: 'neu', draft: 'Entwurf', confirmed: 'bestätigt', processing: 'in Arbeit', in_progress: 'in Arbeit', packed: 'gepackt',
  shipped: 'versandt', in_transit: 'unterwegs', delivered: 'zugestellt', returned: 'zurückgeschickt',
  cancelled: 'storniert', lost: 'verschollen', backorder: 'im Rückstand', partial: 'teilbezahlt', paid: 'bezahlt',
  void: 'storniert', overdue: 'überfällig',
}

const activity: Record<string, string> = {
  call: 'Anruf', mail: 'E-Mail', email: 'E-Mail', note: 'Notiz', return: 'Rücksendung', order: 'Bestellung', letter: 'Brief',
}

const crm: Record<string, string> = { waiting: 'wartet', delivered: 'übertragen', dead: 'gescheitert' }

/** The nodes of the shipped flow and of the demo's, in plain words. */
const step: Record<string, string> = {
  greeting: 'Begrüßung', recognise: 'Nummer geprüft', language: 'Sprache gewählt', privacy: 'Datenschutz gehört', privacy_number: 'Datenschutz gehört',
  customer_number: 'nach Kundennummer gefragt', thanks: 'Kundennummer erkannt', to_service_anyway: 'ohne gültige Kundennummer', to_service: 'zum Kundenservice', line: 'gewählte Rufnummer', to_orders: 'zur Bestellannahme',
}

/** A wish that is kept until the call, or its wrap-up, is done. */
const afterwards = { paused: 'Pause nach diesem Gespräch', offline: 'Offline nach diesem Gespräch', wrapped: 'Pause nach der Nacharbeit' }

export const de = {
  presence, afterwards, certainty, reason, state, activity, crm, step,
  title: 'Callfloor',
  
  logIn: {
    heading: 'Anmelden', login: 'Anmeldename', password: 'Kennwort', submit: 'Anmelden', busy: 'Wird angemeldet …',
    ended: 'Ihre Sitzung ist beendet. Bitte neu anmelden.', empty: 'Bitte Anmeldename und Kennwort eingeben.',
  },
  link: {
    connecting: 'Verbindung wird aufgebaut …', lost: 'Verbindung unterbrochen',
    stale: 'Was Sie sehen, kann veraltet sein. Es wird weiter versucht; Notizen bleiben erhalten.',
    back: 'Verbindung wieder da', parked: 'Diese Seite ist noch in zu vielen anderen Fenstern offen; hier kommt nichts mehr an.', here: 'Hier weiterarbeiten', 
  },
  skip: 'Zum Anruf springen',
  bar: {
    presence: 'Ihr Zustand', queues: 'Warteschlangen', lamps: 'Anlage', views: 'Ansichten',
    waiting: (n: number) => `${n} wartend`,
    language: 'English', help: 'Tasten', logOut: 'Sitzung beenden', ready: 'Bereit', pause: 'Pause', offline: 'Offline', 
    call: 'Anruf', history: 'Verlauf', team: 'Team', outbox: 'CRM-Ausgang',
  },
  lamp: {
    pbx: { in_sync: 'Telefonanlage verbunden', syncing: 'Telefonanlage wird abgeglichen', down: 'Telefonanlage nicht erreichbar' },
    crm: { up: 'CRM erreichbar', down: 'CRM antwortet nicht' },
    outbox: (waiting: number, dead: number) =>
      dead > 0 ? `${count(dead, 'Eintrag', 'Einträge')} nicht ins CRM übertragen` : waiting > 0 ? `${count(waiting, 'Eintrag wartet', 'Einträge warten')} aufs CRM` : 'Alles im CRM',
    short: { pbx: 'Anlage', crm: 'CRM', outbox: 'Ausgang' },
  },
  idle: {
    ready: 'Bereit für den nächsten Anruf', paused: 'Sie sind in Pause', offline: 'Sie nehmen keine Anrufe an', other: 'Kein Anruf auf dem Schirm',
    readyText: 'Er erscheint hier, sobald Ihr Telefon klingelt.', pausedText: 'Mit F2 sind Sie wieder bereit.',
    offlineText: 'Mit F2 nehmen Sie Anrufe Ihrer Warteschlangen an.',
    noPhone: 'Diesem Zugang fehlt ein Telefon', noPhoneText: 'Teamleitung oder Administration können eines zuordnen.',
    queues: 'Ihre Warteschlangen', queue: 'Warteschlange', waiting: 'Wartend', longest: 'Längste', free: 'Bereit', talking: 'Sprechen',
    keys: 'Wichtige Tasten', noQueues: 'Sie sind keiner Warteschlange zugeordnet.',
  },
  pop: {
    ringing: 'Es klingelt', talking: 'Im Gespräch', held: 'Gehalten', wrap_up: 'Nacharbeit', calls: 'Anrufe',
    queue: 'Warteschlange', waited: 'Wartezeit', talked: 'Gesprächszeit', language: 'Sprache', path: 'Weg durch die Ansage', more: (n: number) => `${n} weitere`, wholePath: 'Der ganze Weg durch die Ansage',
    noPath: 'ohne Ansage', networkName: 'Netzname', number: 'Rufnummer', customer: 'Kunde', unknown: 'Unbekannt',
    seeking: 'Wird nachgeschlagen …', unanswered: 'Noch nicht erkannt', seekingLong: 'Das CRM wird gefragt.', 
    choose: 'Wer ruft an?', chooseHint: 'Mit der Zahlentaste wählen. Vorher öffnet sich keine Akte.', again: 'Andere Person wählen',
    choosing: 'Akte wird geöffnet …', 
    de: 'Deutsch', en: 'Englisch',
    announce: (who: string, how: string, queue: string, waited: string) => `Anruf. ${who}. ${how}. Warteschlange ${queue}. Wartet seit ${waited}.`,
    gone: 'Der Anruf ist nicht mehr da.', talkingTo: (who: string) => `Im Gespräch mit ${who}.`, 
    wrapUpFor: (who: string) => `Gespräch beendet. Nacharbeit zu ${who}.`,
  },
  card: {
    heading: 'Kundenkarte', number: 'Kundennummer', company: 'Firma', email: 'E-Mail', phones: 'Telefon', blocked: 'Konto gesperrt',
    orders: 'Bestellungen', invoices: 'Rechnungen', activities: 'Letzte Kontakte', noOrders: 'Keine offene Bestellung',
    noInvoices: 'Keine offene Rechnung', noActivities: 'Noch kein Kontakt', loading: 'Karte wird geladen', failed: 'Das CRM antwortet nicht.',
    failedText: 'Die Karte wird nachgetragen, sobald es wieder da ist. Sie können das Gespräch führen.',
    none: 'Keine Kundenkarte', noneShared: 'Erst wählen, wer anruft: dann öffnet sich die Karte.',
    noneUnknown: 'Zu diesem Anruf ist kein Kunde bekannt.', due: 'fällig', overdue: 'überfällig', of: 'von', tracking: 'Sendung',
    fetched: 'Stand', 
  },
  wrap: {
    heading: 'Nacharbeit', notes: 'Notiz', code: 'Ergebnis des Gesprächs', required: 'Pflicht', optional: 'freiwillig',
    noteHint: 'Wird laufend gespeichert und mit dem Ergebnis ins CRM geschrieben.', finish: 'Abschließen', finishing: 'Wird gespeichert …',
    saved: 'Notiz gespeichert', saving: 'wird gespeichert …', unsaved: 'Notiz noch nicht gespeichert – wird wieder versucht',
    pickFirst: 'Bitte zuerst ein Ergebnis wählen.', failed: 'Nicht gespeichert.', deadline: 'noch', 
    expired: 'Die Zeit für die Nacharbeit war um. Diese Notiz wurde als Entwurf gespeichert.', skip: 'Ohne Ergebnis bereit', later: 'Das Ergebnis wählen Sie nach dem Gespräch.',
    done: (code: string) => `Abgeschlossen: ${code}`, discard: 'Verstanden', none: 'Für diese Warteschlange ist kein Ergebnis nötig.',
    left: (n: number) => `noch ${n} Zeichen`, other: 'Ergebnis ändern', otherHint: 'Umschalt und Tab führen zurück zum Ergebnis.',
    missing: 'Die Ergebnisse dieser Warteschlange sind nicht bekannt.',
  },
  history: {
    heading: 'Meine Gespräche', headingAll: 'Gespräche', time: 'Zeit', caller: 'Anrufer', queue: 'Warteschlange', talked: 'Dauer', code: 'Ergebnis', agent: 'Agent',
    note: 'Notiz', crm: 'CRM', empty: 'Noch keine Gespräche.', failed: 'Der Verlauf konnte nicht geladen werden.', again: 'Noch einmal', missed: 'entgangen', live: 'läuft', loading: 'Wird geladen …',
  },
  pause: { heading: 'Warum Pause?', hint: 'Zahlentaste wählt, Esc bricht ab.', none: 'Keine Gründe eingerichtet.', plain: 'Ohne Grund' },
  team: {
    heading: 'Team', agents: 'Agenten', name: 'Name', state: 'Zustand', since: 'Seit', talksTo: 'Im Gespräch mit', queues: 'Warteschlangen', waiting: 'Wartende Anrufer',
    caller: 'Anrufer', waitingSince: 'Wartet', nobody: 'Niemand wartet.', empty: 'Niemand hat ein Telefon.',
  },
  outbox: { heading: 'CRM-Ausgang', what: 'Vom', agent: 'Agent', code: 'Ergebnis', state: 'Zustand', tries: 'Versuche', why: 'Letzter Fehler', next: 'Nächster Versuch', retry: 'Jetzt senden', empty: 'Alles ist im CRM.', failed: 'Der Ausgang konnte nicht geladen werden.', retried: 'Wird noch einmal gesendet.', loading: 'Wird geladen …' },
  help: {
    heading: 'Tasten', close: 'Schließen', single: 'Einzeltasten', singleOn: 'Einzeltasten sind an: Buchstaben und Zahlen wirken, solange kein Textfeld den Fokus hat.',
    singleOff: 'Einzeltasten sind aus. Es wirken nur F-Tasten, Strg+Eingabe und Esc.', turnOff: 'Ausschalten', turnOn: 'Einschalten',
    groups: { presence: 'Zustand', call: 'Anruf und Nacharbeit', pages: 'Seiten' },
    actions: {
      ready: 'Bereit', pause: 'Pause – Grund mit Zahl', offline: 'Offline gehen', 'next-call': 'Zum nächsten Anruf', candidates: 'Zahlen wählen, wer anruft',
      note: 'In die Notiz', codes: 'Zahlen wählen das Ergebnis, dann folgt die Notiz', finish: 'Nacharbeit abschließen', 'view-call': 'Anruf', 'view-history': 'Verlauf', 'view-team': 'Team',
      'view-outbox': 'CRM-Ausgang', help: 'Diese Tastenliste', close: 'Schließen, Textfeld verlassen', language: 'Deutsch / Englisch', 'log-out': 'Sitzung beenden', 'other-code': 'Von der Notiz zurück zum Ergebnis', digits: 'Aus der nummerierten Liste wählen',
    },
  },
  fold: (n: number) => `${n} weitere`,
  key: { Enter: 'Eingabe', Escape: 'Esc', Ctrl: 'Strg', Shift: 'Umschalt' } as Record<string, string>,
  problem: { offline: 'Der Server antwortet nicht. Bitte noch einmal versuchen.', other: (status: number) => `Das hat nicht geklappt (Fehler ${status}).`, dismiss: 'Schließen', log: 'Meldungen' },
}

export type Words = typeof de
