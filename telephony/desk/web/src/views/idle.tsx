/** Between two calls. */

import type { Presence } from '../contract'
import { me, queueLabel, queues, takesCalls } from '../desk'
import { words } from '../i18n'
import { keysOf } from '../keys'
import type { Action } from '../keys'
import { Icon } from './icons'
import { HistoryTable } from './history'
import { Key, Since } from './parts'

export function Idle() {
  const text = words.value.idle
  const said: Partial<Record<Presence, [string, string]>> = {
    ready: [text.ready, text.readyText],
    paused: [text.paused, text.pausedText],
    offline: [text.offline, text.offlineText],
  }
  const presence = me.value?.presence ?? 'offline'
  const [head, more] = takesCalls.value ? (said[presence] ?? [text.other, '']) : [text.noPhone, text.noPhoneText]
  return (
    <article class="idle">
      <header class={`idle-head is-${presence}`}>
        <Icon name={presence === 'ready' ? 'ready' : presence === 'paused' ? 'pause' : 'offline'} size={30} />
        <div>
          <h2>{head}</h2>
          <p>{more}</p>
        </div>
      </header>
      <HistoryTable most={12} />
    </article>
  )
}

export function IdleSide() {
  const text = words.value.idle
  const names = me.value?.queues ?? []
  return (
    <>
      <section class="panel" aria-labelledby="my-queues">
        <h2 id="my-queues">{text.queues}</h2>
        {names.length === 0 ? <p class="soft">{text.noQueues}</p> : <QueueFigures names={names} />}
      </section>
      {takesCalls.value && (
        <section class="panel" aria-labelledby="main-keys">
          <h2 id="main-keys">{text.keys}</h2>
          <KeyRows actions={['ready', 'pause', 'offline', 'next-call', 'note', 'finish', 'help']} />
        </section>
      )}
    </>
  )
}

export function QueueFigures({ names }: { names: string[] }) {
  const text = words.value.idle
  return (
    <ul class="queue-figures">
      {names.map((name) => {
        const queue = queues.value[name]
        const wait = queue !== undefined && queue.longest_since !== null ? <Since since={queue.longest_since} /> : '–'
        return (
          <li key={name}>
            <h3>{queueLabel(name)}</h3>
            <dl>
              <div class={(queue?.waiting ?? 0) > 0 ? 'is-waiting' : undefined}><dt>{text.waiting}</dt><dd>{queue?.waiting ?? '–'}</dd></div>
              <div><dt>{text.longest}</dt><dd>{wait}</dd></div>
              <div><dt>{text.free}</dt><dd>{queue?.ready ?? '–'}</dd></div>
              <div><dt>{text.talking}</dt><dd>{queue?.talking ?? '–'}</dd></div>
            </dl>
          </li>
        )
      })}
    </ul>
  )
}

export function KeyRows({ actions }: { actions: Action[] }) {
  const names = words.value.help.actions as Record<string, string>
  return (
    <dl class="keys">
      {actions.map((action) => (
        <div key={action}>
          <dt>{keysOf(action).map((key) => <Key key={key} of={key} />)}</dt>
          <dd>{names[action]}</dd>
        </div>
      ))}
    </dl>
  )
}
