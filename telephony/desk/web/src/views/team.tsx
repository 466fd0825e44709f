/** For supervisors: how the queues stand, who talks to whom, and who waits. */

import type { Agent } from '../contract'
import { agents, queueLabel, queues, reasonLabel, waiting } from '../desk'
import { language, words } from '../i18n'
import { Fold } from './fold'
import { QueueFigures } from './idle'
import { Since } from './parts'

export function Team() {
  const text = words.value.team
  return (
    <div class="team">
      <section class="panel" aria-labelledby="team-queues">
        <h2 id="team-queues">{text.queues}</h2>
        <QueueFigures names={Object.keys(queues.value)} />
      </section>
      <People />
      <Waiting />
    </div>
  )
}

/** Who is at work comes first; within that by name, so that a state that changes moves nobody. */
const inOrder = (people: Agent[], tongue: string): Agent[] =>
  [...people].sort((a, b) => Number(a.presence === 'offline') - Number(b.presence === 'offline') || a.name.localeCompare(b.name, tongue))

function People() {
  const text = words.value.team
  const people = inOrder(agents.value, language.value)
  return (
    <section class="panel fill" aria-labelledby="team-agents">
      <h2 id="team-agents">{text.agents}</h2>
      {people.length === 0 ? <p class="soft">{text.empty}</p> : (
        <Fold rows="tbody tr" label="team-agents">
          <table class="rows people">
            <colgroup><col class="col-name" /><col class="col-state" /><col class="col-since" /><col /><col class="col-queues" /></colgroup>
            <thead>
              <tr>
                <th scope="col">{text.name}</th><th scope="col">{text.state}</th><th scope="col" class="number">{text.since}</th>
                <th scope="col">{text.talksTo}</th><th scope="col">{text.queues}</th>
              </tr>
            </thead>
            <tbody>{people.map((agent) => <Person key={agent.login} agent={agent} />)}</tbody>
          </table>
        </Fold>
      )}
    </section>
  )
}

function Person({ agent }: { agent: Agent }) {
  const { presence, afterwards, certainty } = words.value
  const busy = agent.presence === 'talking' || agent.presence === 'after_call_work'
  const next = agent.presence === 'talking' && agent.wish !== 'ready' ? afterwards[agent.wish] : agent.presence === 'after_call_work' && agent.wish === 'paused' ? afterwards.wrapped : ''
  const more = agent.presence === 'paused' && agent.reason !== '' ? reasonLabel(agent.reason) : next
  return (
    <tr>
      <th scope="row">{agent.name}</th>
      <td>
        <span class={`dot is-${agent.presence}`} aria-hidden="true" /> {presence[agent.presence]}
        {more !== '' && <span class="cell-more">{more}</span>}
      </td>
      <td class="number"><Since since={agent.since} /></td>
      <td>
        {busy && (
          <>
            <span class="cell-main">{agent.caller || certainty.withheld.short}</span>
            <span class="cell-more">{queueLabel(agent.queue)}</span>
          </>
        )}
      </td>
      <td>{agent.queues.map(queueLabel).join(', ')}</td>
    </tr>
  )
}

function Waiting() {
  const text = words.value.team
  const callers = [...waiting.value].sort(([, a], [, b]) => a.joined_at - b.joined_at)
  return (
    <section class="panel fill" aria-labelledby="team-waiting">
      <h2 id="team-waiting">{text.waiting}</h2>
      {callers.length === 0 ? <p class="soft">{text.nobody}</p> : (
        <Fold rows="tbody tr" label="team-waiting">
          <table class="rows callers">
            <colgroup><col /><col class="col-since" /></colgroup>
            <thead>
              <tr><th scope="col">{text.caller}</th><th scope="col" class="number">{text.waitingSince}</th></tr>
            </thead>
            <tbody>
              {callers.map(([conversation, caller]) => (
                <tr key={conversation}>
                  <th scope="row">
                    {caller.name || caller.display || words.value.certainty.withheld.short}
                    <span class="cell-more">
                      {queueLabel(caller.queue)} · {words.value.certainty[caller.certainty]?.short ?? caller.certainty}
                    </span>
                  </th>
                  <td class="number"><Since since={caller.joined_at} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </Fold>
      )}
    </section>
  )
}
