/** For supervisors: who sits where, who waits, and what the CRM did not take. */

import { signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { api } from '../api'
import type { OutboxItem } from '../contract'
import { agents, complain, now, office, queueLabel, say, waiting } from '../desk'
import { clock, label, moment } from '../format'
import { language, words } from '../i18n'
import { Since } from './parts'

export function Team() {
  const text = words.value.team
  const people = [...agents.value].sort((a, b) => a.name.localeCompare(b.name, language.value))
  const callers = [...waiting.value].sort(([, a], [, b]) => a.joined_at - b.joined_at)
  return (
    <div class="two">
      <section class="panel fill" aria-labelledby="team-agents">
        <h2 id="team-agents">{text.agents}</h2>
        {people.length === 0 ? <p class="soft">{text.empty}</p> : (
          <div class="scroll" tabIndex={0} role="group" aria-labelledby="team-agents">
            <table class="rows">
              <thead>
                <tr><th scope="col">{text.name}</th><th scope="col">{text.state}</th><th scope="col" class="number">{text.since}</th><th scope="col">{text.queues}</th></tr>
              </thead>
              <tbody>
                {people.map((agent) => (
                  <tr key={agent.login}>
                    <th scope="row">{agent.name}</th>
                    <td>
                      <span class={`dot is-${agent.presence}`} aria-hidden="true" /> {words.value.presence[agent.presence]}
                      {agent.presence === 'paused' && agent.reason !== '' && (
                        <span class="cell-more">{label(office.value?.pauses.find((reason) => reason.code === agent.reason)?.label, language.value, agent.reason)}</span>
                      )}
                    </td>
                    <td class="number"><Since since={agent.since} /></td>
                    <td>{agent.queues.map(queueLabel).join(', ')}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
      <section class="panel fill" aria-labelledby="team-waiting">
        <h2 id="team-waiting">{text.waiting}</h2>
        {callers.length === 0 ? <p class="soft">{text.nobody}</p> : (
          <div class="scroll" tabIndex={0} role="group" aria-labelledby="team-waiting">
            <table class="rows">
              <thead>
                <tr><th scope="col">{text.caller}</th><th scope="col">{text.who}</th><th scope="col">{text.queue}</th><th scope="col" class="number">{text.waitingSince}</th></tr>
              </thead>
              <tbody>
                {callers.map(([conversation, caller]) => (
                  <tr key={conversation}>
                    <th scope="row">{caller.name || caller.display || words.value.certainty.withheld.short}</th>
                    <td>{words.value.certainty[caller.certainty]?.short ?? caller.certainty}</td>
                    <td>{queueLabel(caller.queue)}</td>
                    <td class="number"><Since since={caller.joined_at} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
    </div>
  )
}

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
        <div class="scroll" tabIndex={0} role="group" aria-labelledby="outbox-title">
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
                  <td>{item.agent}</td>
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
        </div>
      )}
    </section>
  )
}
