/** What customers asked for in the menu: on the card, and in the dialog that decides on it. */

import { conclude, deciding, decidable, decide, decisionNote, leaveField, loadOfCustomer, ofCustomer, vouch, vouched, wrong } from '../reception'
import type { Level, Pop, Request } from '../contract'
import { current, dialog, nameOf, now } from '../desk'
import { NOTE_LIMIT } from '../drafts'
import { moment } from '../format'
import { language, words } from '../i18n'
import { about, locked, pending, proven, readable } from '../requests'
import { Fold } from './fold'
import { Icon } from './icons'
import { Hint, Key, Modal, shortcuts } from './parts'

/** What the caller has proven, in words. */
export function Proven({ level }: { level: Level }) {
  return (
    <p class={`level is-${level}`}>
      <Icon name={level === 'pin' ? 'unlocked' : 'locked'} size={16} /> {words.value.level[level]}
    </p>
  )
}

/** The name of a request's field as people read it. */
const fieldName = (name: string): string => {
  const known = words.value.request.fields as Record<string, string>
  return Object.hasOwn(known, name) ? known[name]! : readable(name)
}

const fieldValue = (value: string | number | boolean): string =>
  typeof value === 'boolean' ? words.value.request[value ? 'yes' : 'no'] : String(value)

export const Fields = ({ of }: { of: Request['fields'] }) => (
  <>
    {Object.entries(of).map(([name, value]) => (
      <span key={name} class="field">{fieldName(name)} <b>{fieldValue(value)}</b></span>
    ))}
  </>
)

export const kindOf = (request: Request): string => words.value.request.kinds[request.kind] ?? readable(request.kind)

/** The customer's requests, in their place on the card whatever is known of them. */
export function CardRequests({ pop }: { pop: Pop }) {
  const text = words.value.request
  const { state, customer, items } = ofCustomer.value
  const mine = pop.customer !== null && customer === pop.customer
  const open = mine ? pending(items) : []
  return (
    <section class={open.length > 0 ? 'panel card-requests has-pending' : 'panel card-requests'} aria-labelledby="card-requests" aria-busy={mine && state === 'loading'}>
      <h3 id="card-requests">
        {text.heading} {open.length > 0 && <b class="figure">{open.length}</b>}
        {open.length > 0 && (
          <button type="button" class="button small" aria-keyshortcuts={shortcuts('decide')} aria-haspopup="dialog" onClick={() => decide(open[0])}>
            {text.decide} <Hint action="decide" />
          </button>
        )}
      </h3>
      {!mine ? null : state === 'loading' ? <div class="bones" aria-hidden="true"><span class="bone" /><span class="bone" /></div>
        : state === 'failed' ? (
          <p class="wrong">
            {text.failed}{' '}
            <button type="button" class="button small" onClick={() => void loadOfCustomer(pop.customer ?? '')}>{words.value.history.again} <Hint action="decide" /></button>
          </p>
        ) : items.length === 0 ? <p class="nothing">{text.none}</p> : (
          <Fold rows="li" label="card-requests">
            <ul class="lines">
              {[...open, ...items.filter((item) => item.state !== 'pending')].map((request) => <Line key={request.reference} request={request} />)}
            </ul>
          </Fold>
        )}
    </section>
  )
}

function Line({ request }: { request: Request }) {
  const text = words.value.request
  const tongue = language.value
  return (
    <li class={`request is-${request.state}`}>
      <span class="line-main"><b>{kindOf(request)}</b> <span class="state">{request.reference}</span></span>
      <span class="line-side state-of">{text.states[request.state]}</span>
      <span class="line-more">
        {text.since(moment(request.filed_at, now.value, tongue))}
        {Object.keys(request.fields).length > 0 && <> · <Fields of={request.fields} /></>}
        {request.decided_at !== null && ` · ${nameOf(request.decided_by)} ${moment(request.decided_at, now.value, tongue)}`}
        {request.note !== '' && ` · ${request.note}`}
      </span>
    </li>
  )
}

const close = () => {
  if (!leaveField()) dialog.value = null
}

export function Decide() {
  const request = deciding.value
  const text = words.value.request
  if (request === null) return null
  const pop = current.value
  const level = proven(request, pop)
  const needs = locked(request, pop)
  const shut = needs && !vouched.value
  const [index, all] = [decidable.value.findIndex(({ reference }) => reference === request.reference), decidable.value.length]
  return (
    <Modal label={text.decideHeading} onClose={close}>
      <header class="modal-head">
        <h2 id="decide-title" tabIndex={-1}>{kindOf(request)} {request.reference}</h2>
        {all > 1 && index >= 0 && (
          <span class="soft">{text.nth(index + 1, all)} <Key of="ArrowUp" /> <Key of="ArrowDown" /></span>
        )}
      </header>
      <div class="decide">
        <dl class="decide-facts">
          <div><dt>{text.customer}</dt><dd>{request.customer_name || '–'}</dd></div>
          <div><dt>{text.filed}</dt><dd>{moment(request.filed_at, now.value, language.value)}</dd></div>
          <div><dt>{text.filedWith}</dt><dd>{words.value.level[request.level]}</dd></div>
          {Object.entries(request.fields).map(([name, value]) => (
            <div key={name}><dt>{fieldName(name)}</dt><dd>{fieldValue(value)}</dd></div>
          ))}
        </dl>
        {needs && (
          <div class={shut ? 'lock' : 'lock is-open'}>
            <Icon name={shut ? 'locked' : 'unlocked'} size={26} />
            <p id="lock-why"><strong>{shut ? text.locked : text.unlocked}</strong> {(about(request, pop) !== null ? text.lockedNow : text.lockedThen)[level]}</p>
            <button type="button" class="button" aria-pressed={vouched.value} aria-keyshortcuts="3" aria-describedby="lock-why" onClick={vouch}>
              <Key of="3" /> {text.vouch}
            </button>
          </div>
        )}
        <label class="decide-note">
          <span>{text.note} <Hint action="note" /></span>
          <textarea
            id="decide-note" rows={2} maxLength={NOTE_LIMIT} value={decisionNote.value} aria-keyshortcuts={shortcuts('note')}
            onInput={(event) => (decisionNote.value = event.currentTarget.value)}
          />
        </label>
        <p class="wrong" role="alert">{wrong.value}</p>
        <div class="modal-end">
          <button type="button" class="button main" aria-disabled={shut} aria-keyshortcuts="1" onClick={() => conclude('approved')}><Key of="1" /> {text.approve}</button>
          <button type="button" class="button" aria-disabled={shut} aria-keyshortcuts="2" onClick={() => conclude('rejected')}><Key of="2" /> {text.reject}</button>
          <span class="push" />
          <button type="button" class="button quiet" onClick={() => (dialog.value = null)}>{text.cancel} <Hint action="close" /></button>
        </div>
      </div>
    </Modal>
  )
}
