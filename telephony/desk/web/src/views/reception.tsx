/** What reached the house without reaching a person: voice messages, requests, and call-backs that were promised. */

import { useEffect, useRef } from 'preact/hooks'

import type { CallBack, Message, Request } from '../contract'
import { me, nameOf, now, office, queueLabel, supervises } from '../desk'
import { duration, moment } from '../format'
import { language, words } from '../i18n'
import { chosen, closure, columns, decide, heard, lists, loadReception, play, playing, promise, row, stop, withdraw } from '../reception'
import type { Row } from '../reception'
import { readable } from '../requests'
import { Fold } from './fold'
import { Icon } from './icons'
import { Do, Face, Item } from './items'
import { Key } from './parts'
import { Fields, kindOf } from './requests'

export function Reception() {
  const text = words.value.reception
  const [messages, requests, callbacks] = [me.value?.messages, office.value?.requests, office.value?.callbacks]
  // What the server counts says when a list has changed.
  useEffect(() => void loadReception(), [messages, requests, callbacks])
  // What is heard can be stopped where it is seen, and only there.
  useEffect(() => stop, [])
  const { state } = lists.value
  const first = columns.value.flat()[0]?.key ?? null
  const begun = useRef(false)
  // One row is at hand when the page opens; later on none is put under the person's fingers.
  useEffect(() => {
    if (state === 'loading' || begun.current) return
    begun.current = true
    if (row.peek() === null) chosen.value = first
  }, [state])
  const [left = [], middle = [], right = []] = columns.value
  const closed = (office.value?.closed ?? null) !== null
  return (
    <div class="reception">
      <header class="reception-head">
        <h2>{text.heading}</h2>
        <span class="soft reception-keys"><Key of="ArrowUp" /> <Key of="ArrowDown" /> <Key of="ArrowLeft" /> <Key of="ArrowRight" /> {text.choose}</span>
        <span class="push" />
        <Do action="promise" go={promise}>{text.promise}</Do>
        {supervises.value && <Do action="closure" go={closure}>{closed ? words.value.closure.reopen : words.value.closure.close}</Do>}
      </header>
      {state === 'failed' && <p class="wrong" role="status">{text.failed}</p>}
      <div class="reception-lists" aria-busy={state === 'loading'}>
        <List id="messages" title={text.messages} count={left.filter((one) => one.kind === 'message' && one.item.heard_at === null).length} rows={left} none={text.noMessages} />
        <List id="requests" title={text.requests} count={middle.length} rows={middle} none={text.noRequests} />
        <List id="callbacks" title={text.callbacks} count={right.length} rows={right} none={text.noCallbacks} />
      </div>
    </div>
  )
}

function List({ id, title, count, rows, none }: { id: string; title: string; count: number; rows: Row[]; none: string }) {
  return (
    <section class="panel fill" aria-labelledby={`list-${id}`}>
      <h3 id={`list-${id}`} class="list-title">{title} {count > 0 && <b class="figure">{count}</b>}</h3>
      {rows.length === 0 ? <p class="soft">{lists.value.state === 'loading' ? words.value.history.loading : none}</p> : (
        <Fold rows="li" label={`list-${id}`}>
          <ul class="items">{rows.map((one) => <Entry key={one.key} row={one} />)}</ul>
        </Fold>
      )}
    </section>
  )
}

function Entry({ row: one }: { row: Row }) {
  const face = one.kind === 'message' ? <MessageFace of={one.item} /> : one.kind === 'request' ? <RequestFace of={one.item} /> : <CallBackFace of={one.item} />
  return (
    <Item
      id={one.key} mine={chosen.value === one.key} dealt={one.kind === 'message' && one.item.heard_at !== null} pick={() => (chosen.value = one.key)}
      face={face}
    >
      <div class="item-do">
        {one.kind === 'message' && <MessageActions of={one.item} />}
        {one.kind === 'request' && <Do action="decide" go={() => decide(one.item)}>{words.value.request.decide}</Do>}
        {one.kind === 'callback' && <Do action="withdraw" go={withdraw}>{words.value.reception.withdraw}</Do>}
      </div>
    </Item>
  )
}

const when = (at: number): string => moment(at, now.value, language.value)
const whoOf = (of: { customer_name: string; number_display: string }): string =>
  of.customer_name || of.number_display || words.value.certainty.withheld.short

function MessageFace({ of }: { of: Message }) {
  const text = words.value.reception
  return (
    <Face main={whoOf(of)} side={when(of.left_at)}>
      {text.kinds[of.kind] ?? readable(of.kind)} · {duration(of.seconds)} · {of.for_queue === '' ? text.forYou : queueLabel(of.for_queue)}
      {of.customer_name !== '' && of.number_display !== '' && <> · <span class="field">{of.number_display}</span></>}
      {of.heard_at !== null && ` · ${text.heardBy(nameOf(of.heard_by), when(of.heard_at))}`}
    </Face>
  )
}

function MessageActions({ of }: { of: Message }) {
  const text = words.value.reception
  const on = playing.value?.id === of.id ? playing.value : null
  return (
    <>
      <Do action="play" go={play}>{on === null ? text.play : text.stop}</Do>
      {of.heard_at === null && <Do action="heard" go={heard}>{text.heard}</Do>}
      {on !== null && (
        <span class="playing">
          <progress max={Math.max(of.seconds, 1)} value={on.at} aria-label={text.playing} /> {duration(on.at)}
        </span>
      )}
    </>
  )
}

function RequestFace({ of }: { of: Request }) {
  return (
    <Face main={`${kindOf(of)} ${of.reference}`} side={when(of.filed_at)}>
      {of.customer_name || '–'} · {words.value.level[of.level]}
      {Object.keys(of.fields).length > 0 && <> · <Fields of={of.fields} /></>}
    </Face>
  )
}

function CallBackFace({ of }: { of: CallBack }) {
  const text = words.value.reception
  return (
    <Face main={whoOf(of)} side={when(of.place_at)}>
      {queueLabel(of.queue)}
      {of.customer_name !== '' && <> · <span class="field">{of.number_display}</span></>}
      {of.state === 'calling' ? <> · <b>{text.calling}</b></> : of.attempts > 0 && ` · ${text.again(of.attempts, when(of.next_at))}`}
      {` · ${text.until(when(of.expires_at))}`}
    </Face>
  )
}

/** On the page's tab: how much waits there, by sign and figure. */
export function Badges() {
  const text = words.value.reception
  const state = office.value
  const figures = [
    ['message', me.value?.messages ?? 0, text.nMessages],
    ['request', state?.requests ?? 0, text.nRequests],
    ['callback', state?.callbacks ?? 0, text.nCallbacks],
  ] as const
  const some = figures.filter(([, count]) => count > 0)
  if (some.length === 0) return null
  return (
    <span class="badges">
      {some.map(([icon, count, say]) => (
        <span key={icon} class={`badge is-${icon}`} title={say(count)}>
          <Icon name={icon} size={15} /> <span aria-hidden="true">{count > 99 ? '99+' : count}</span>
          <span class="unseen">{say(count)}</span>
        </span>
      ))}
    </span>
  )
}

/** Nobody may miss that no caller gets through. */
export function ClosedBanner() {
  const text = words.value.closure
  const closed = office.value?.closed ?? null
  if (closed === null) return null
  return (
    <div class="closed-banner">
      <Icon name="warning" size={22} />
      <p><strong>{text.banner}</strong> {closed.reason !== '' && `${text.quoted(closed.reason)} `}{text.who(nameOf(closed.by), when(closed.at))}</p>
      {supervises.value && <Do action="closure" go={closure}>{text.reopen}</Do>}
    </div>
  )
}
