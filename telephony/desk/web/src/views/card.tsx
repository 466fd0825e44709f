/** The customer's card. Its panels have their places and sizes before anything is known: filling them moves nothing. */

import type { ComponentChildren } from 'preact'

import type { Card, Pop } from '../contract'
import { choosing, now } from '../desk'
import { calendar, clock, moment, money, overdue } from '../format'
import { choiceDue, customerOf, seeking, unanswered } from '../front'
import { language, words } from '../i18n'
import { Fold } from './fold'
import { Icon } from './icons'
import { CardRequests } from './requests'

type Shown = { state: 'loading' } | { state: 'empty'; why: string } | { state: 'failed' } | { state: 'ready'; card: Card }

export function shown(pop: Pop): Shown {
  const text = words.value.card
  if (choosing.value[pop.conversation] !== undefined) return { state: 'loading' }
  if (pop.customer !== null && pop.card !== null && pop.card.customer.id === pop.customer) {
    return { state: 'ready', card: pop.card }
  }
  if (pop.card_state === 'loading' || seeking(pop)) return { state: 'loading' }
  if (pop.card_state === 'failed' || unanswered(pop)) return { state: 'failed' }
  return { state: 'empty', why: choiceDue(pop) ? text.noneShared : text.noneUnknown }
}

function Bones({ rows }: { rows: number }) {
  return (
    <div class="bones" aria-hidden="true">
      {Array.from({ length: rows }, (_, row) => (
        <span key={row} class="bone" />
      ))}
    </div>
  )
}

function Panel(props: { id: string; title: string; extra?: ComponentChildren; what: Shown; rows: number; children: (card: Card) => ComponentChildren }) {
  const { id, title, extra, what, rows, children } = props
  return (
    <section class={`panel card-${id}`} aria-labelledby={`card-${id}`} aria-busy={what.state === 'loading'}>
      <h3 id={`card-${id}`}>
        {title} {what.state === 'ready' && extra}
      </h3>
      {what.state === 'ready' ? <Fold rows="li" label={`card-${id}`}>{children(what.card)}</Fold> : what.state === 'loading' ? <Bones rows={rows} /> : null}
    </section>
  )
}

const word = (table: Record<string, string>, code: string): string => (Object.hasOwn(table, code) ? table[code]! : code)

export function CardPanels({ pop }: { pop: Pop }) {
  const text = words.value.card
  const tongue = language.value
  const what = shown(pop)
  const at = now.value
  return (
    <div class={what.state === 'empty' || what.state === 'failed' ? 'card is-empty' : 'card'}>
      <CardHead pop={pop} what={what} />
      <Panel id="orders" title={text.orders} what={what} rows={3}>
        {({ orders }) =>
          orders.length === 0 ? <p class="nothing">{text.noOrders}</p> : (
            <ul class="lines">
              {orders.map((order) => (
                <li key={order.number}>
                  <span class="line-main"><b>{order.number}</b> <span class="state">{word(words.value.state, order.status)}</span></span>
                  <span class="line-side">{money(order.total_minor, order.currency, tongue)}</span>
                  <span class="line-more">
                    {moment(order.placed_at, at, tongue)}
                    {order.tracking !== '' && ` · ${text.tracking} ${order.tracking}`}
                  </span>
                </li>
              ))}
            </ul>
          )}
      </Panel>
      <Panel id="invoices" title={text.invoices} what={what} rows={3}>
        {({ invoices }) =>
          invoices.length === 0 ? <p class="nothing">{text.noInvoices}</p> : (
            <ul class="lines">
              {invoices.map((invoice) => {
                const late = overdue(invoice, at)
                return (
                  <li key={invoice.number} class={late ? 'is-late' : undefined}>
                    <span class="line-main">
                      <b>{invoice.number}</b>{' '}
                      {late ? <span class="state late"><Icon name="warning" size={15} /> {text.overdue}</span> : <span class="state">{word(words.value.state, invoice.status)}</span>}
                    </span>
                    <span class="line-side">{money(invoice.residual_minor, invoice.currency, tongue)}</span>
                    <span class="line-more">
                      {text.due} {calendar(invoice.due, tongue)}
                      {invoice.residual_minor !== invoice.total_minor && ` · ${text.of} ${money(invoice.total_minor, invoice.currency, tongue)}`}
                    </span>
                  </li>
                )
              })}
            </ul>
          )}
      </Panel>
      <Panel id="activities" title={text.activities} what={what} rows={4}>
        {({ activities }) =>
          activities.length === 0 ? <p class="nothing">{text.noActivities}</p> : (
            <ul class="lines contacts">
              {activities.map((contact, index) => (
                <li key={index}>
                  <span class="when">{moment(contact.at, at, tongue)}</span>
                  <span class="kind">{word(words.value.activity, contact.kind)}</span>
                  <span class="what" title={contact.text}>{contact.text}</span>
                  <span class="by">{contact.agent}</span>
                </li>
              ))}
            </ul>
          )}
      </Panel>
      <CardRequests pop={pop} />
    </div>
  )
}

/** An address that is too long for its place goes on in the next line from the at sign. */
function Address({ of }: { of: string }) {
  const at = of.lastIndexOf('@')
  return at < 0 ? <>{of || '–'}</> : <>{of.slice(0, at)}<wbr />{of.slice(at)}</>
}

function Numbers({ of }: { of: string[] }) {
  if (of.length === 0) return <>–</>
  return <ul class="numbers">{of.map((number, index) => <li key={index}>{number}</li>)}</ul>
}

function CardHead({ pop, what }: { pop: Pop; what: Shown }) {
  const text = words.value.card
  const customer = what.state === 'ready' ? what.card.customer : customerOf(pop)
  return (
    <section class="panel card-head" aria-labelledby="card-title" aria-busy={what.state === 'loading'}>
      <div class="card-title">
        <h3 id="card-title">{text.heading}</h3>
        {what.state === 'ready' && <span class="as-of">{text.fetched} {clock(what.card.fetched_at, language.value)}</span>}
        {what.state === 'ready' && what.card.blocked && <p class="blocked">{text.blocked}</p>}
      </div>
      {what.state === 'failed' ? (
        <p class="card-note"><Icon name="warning" /> <span><strong>{text.failed}</strong> {text.failedText}</span></p>
      ) : what.state === 'empty' ? (
        <p class="card-note"><span>{what.why}</span></p>
      ) : (
        <dl class="card-facts">
          <div><dt>{text.number}</dt><dd>{customer?.number ?? <span class="bone" />}</dd></div>
          <div><dt>{text.company}</dt><dd>{customer === null ? <span class="bone" /> : customer.company || '–'}</dd></div>
          <div><dt>{text.email}</dt><dd>{what.state === 'ready' ? <Address of={what.card.email} /> : <span class="bone" />}</dd></div>
          <div><dt>{text.phones}</dt><dd>{what.state === 'ready' ? <Numbers of={what.card.phones} /> : <span class="bone" />}</dd></div>
        </dl>
      )}
    </section>
  )
}
