/** For supervisors: what the CRM did not take. */

import { signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { api } from '../api'
import type { OutboxItem } from '../contract'
import { complain, nameOf, now, office, say, settled } from '../desk'
import { clock, moment } from '../format'
import { language, words } from '../i18n'
import { Fold } from './fold'

const outbox = signal<{ state: 'loading' | 'ready' | 'failed'; items: OutboxItem[] }>({ state: 'loading', items: [] })

async function loadOutbox(): Promise<void> {
  try {
    outbox.value = { state: 'ready', items: (await api.outbox()).items }
  } catch (failure) {
    outbox.value = { ...outbox.peek(), state: 'failed' }
    complain(failure)
  }
}

export function Outbox() {
  const text = words.value.outbox
  const busy = useSignal<OutboxItem['id'] | null>(null)
  const state = office.value
  // What the server counts says when the list has changed.
  useEffect(() => void loadOutbox(), [state?.outbox_waiting, state?.outbox_dead])

  async function retry(item: OutboxItem): Promise<void> {
    if (busy.value !== null) return
    busy.value = item.id
    try {
      await api.retry(item.id)
      settled()
      say(text.retried)
      await loadOutbox()
    } catch (failure) {
      complain(failure)
    } finally {
      busy.value = null
    }
  }

  const { items } = outbox.value
  return (
    <section class="panel fill" aria-labelledby="outbox-title">
      <h2 id="outbox-title">{text.heading}</h2>
      {outbox.value.state === 'failed' ? <p class="wrong">{text.failed}</p> : items.length === 0 ? (
        <p class="soft">{outbox.value.state === 'loading' ? text.loading : text.empty}</p>
      ) : (
        <Fold rows="tbody tr" label="outbox-title">
          <table class="rows">
            <thead>
              <tr>
                <th scope="col">{text.what}</th><th scope="col">{text.agent}</th><th scope="col">{text.code}</th><th scope="col">{text.state}</th><th scope="col" class="number">{text.tries}</th>
                <th scope="col">{text.next}</th><th scope="col">{text.why}</th><td />
              </tr>
            </thead>
            <tbody>
              {items.map((item) => (
                <tr key={item.id}>
                  <th scope="row">{moment(item.created_at, now.value, language.value)}<span class="cell-more">{item.conversation}</span></th>
                  <td>{nameOf(item.agent)}</td>
                  <td>{item.code}</td>
                  <td class={item.dead ? 'crm is-bad' : 'crm'}>{item.dead ? words.value.crm.dead : words.value.crm.waiting}</td>
                  <td class="number">{item.attempts}</td>
                  <td>{item.next_at === null ? '–' : clock(item.next_at, language.value)}</td>
                  <td class="why">{item.error || '–'}</td>
                  <td>
                    <button type="button" class="button" aria-disabled={busy.value === item.id} onClick={() => void retry(item)}>{text.retry}</button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Fold>
      )}
    </section>
  )
}
