/** The top of the page: who am I and what am I; who waits; is the house in order. */

import { presenceBusy, run } from '../actions'
import type { Presence } from '../contract'
import { afterwards, dialog, link, me, office, queueLabel, queues, reasonLabel, takesCalls, trouble, unpark, view, viewsSeen } from '../desk'
import type { View } from '../desk'
import { language, words } from '../i18n'
import type { Action } from '../keys'
import { Icon } from './icons'
import type { IconName } from './icons'
import { Mark } from './mark'
import { Hint, Since, shortcuts } from './parts'
import { Badges, ClosedBanner } from './reception'
import { Trouble } from './trouble'

const PRESENCE_ICON: Record<Presence, IconName> = {
  offline: 'offline', ready: 'ready', ringing: 'phone', talking: 'talking', after_call_work: 'pen', paused: 'pause',
}

function PresenceChip() {
  const who = me.value
  if (who === null) return null
  const reason = who.reason === '' ? '' : reasonLabel(who.reason)
  const wish = afterwards.value
  return (
    <div class={`presence is-${who.presence}`} role="group" aria-label={words.value.bar.presence}>
      <Icon name={PRESENCE_ICON[who.presence]} size={22} />
      <span class="presence-word" title={reason || undefined}>
        {(who.presence === 'paused' && reason) || words.value.presence[who.presence]}
      </span>
      <Since since={who.since} />
      {wish !== null && (
        <span class="presence-wish" title={reason || undefined}>
          {words.value.afterwards[who.presence === 'after_call_work' ? 'wrapped' : wish]}
        </span>
      )}
    </div>
  )
}

function Set({ action, pressed, children }: { action: Action; pressed: boolean; children: string }) {
  return (
    <button
      type="button" class="button" aria-pressed={pressed} aria-disabled={presenceBusy.value} aria-keyshortcuts={shortcuts(action)}
      onClick={() => run(action)}
    >
      {children} <Hint action={action} />
    </button>
  )
}

function Queues() {
  const who = me.value
  const text = words.value.bar
  return (
    <ul class="queues" aria-label={text.queues}>
      {who?.queues.map((name) => {
        const queue = queues.value[name]
        const waiting = queue?.waiting ?? 0
        return (
          <li key={name} class={waiting > 0 ? 'queue-chip has-waiting' : 'queue-chip'}>
            <span class="queue-name" title={queueLabel(name)}>{queueLabel(name)}</span>
            <b class="figure" aria-label={text.waiting(waiting)}>{waiting}</b>
            <span class="queue-wait">
              {queue !== undefined && queue.longest_since !== null && waiting > 0 ? <Since since={queue.longest_since} /> : '–'}
            </span>
          </li>
        )
      })}
    </ul>
  )
}

type Health = 'ok' | 'busy' | 'bad'
const HEALTH_ICON: Record<Health, IconName> = { ok: 'check', busy: 'seeking', bad: 'warning' }

function Lamp({ name, health, what }: { name: string; health: Health; what: string }) {
  return (
    <li class={`lamp is-${health}`} title={what}>
      <Icon name={HEALTH_ICON[health]} size={16} />
      <span class="lamp-name" aria-hidden="true">{name}</span>
      <span class="unseen">{what}</span>
    </li>
  )
}

function Lamps() {
  const state = office.value
  const text = words.value.lamp
  if (state === null) return <ul class="lamps" aria-label={words.value.bar.lamps} />
  const pbx: Record<typeof state.pbx, Health> = { in_sync: 'ok', syncing: 'busy', down: 'bad' }
  const outbox: Health = state.outbox_dead > 0 ? 'bad' : state.outbox_waiting > 0 ? 'busy' : 'ok'
  const open = state.outbox_dead || state.outbox_waiting
  return (
    <ul class="lamps" aria-label={words.value.bar.lamps}>
      <Lamp name={text.short.pbx} health={pbx[state.pbx]} what={text.pbx[state.pbx]} />
      <Lamp name={text.short.crm} health={state.crm === 'up' ? 'ok' : 'bad'} what={text.crm[state.crm]} />
      <Lamp
        name={open > 0 ? `${text.short.outbox} ${open}` : text.short.outbox} health={outbox}
        what={text.outbox(state.outbox_waiting, state.outbox_dead)}
      />
    </ul>
  )
}

function Views() {
  const text = words.value.bar
  const titles: Record<View, [string, Action]> = {
    team: [text.team, 'view-team'], call: [text.call, 'view-call'], history: [text.history, 'view-history'], outbox: [text.outbox, 'view-outbox'],
    reception: [text.reception, 'view-reception'], flow: [text.flow, 'view-flow'],
  }
  return (
    <nav class="views" aria-label={text.views}>
      {viewsSeen.value.map((name) => {
        const [title, action] = titles[name]
        return (
          <button
            key={name} type="button" class="tab" aria-current={view.value === name ? 'page' : undefined} aria-keyshortcuts={shortcuts(action)}
            onClick={() => run(action)}
          >
            {title} {name === 'reception' && <Badges />} <Hint action={action} />
          </button>
        )
      })}
    </nav>
  )
}

export function Bar() {
  const text = words.value.bar
  const wish = me.value?.wish
  return (
    <header class="bar">
      <div class="bar-row">
        <Mark />
        {takesCalls.value && (
          <>
            <PresenceChip />
            <div class="sets">
              <Set action="ready" pressed={wish === 'ready'}>{text.ready}</Set>
              <Set action="pause" pressed={wish === 'paused'}>{text.pause}</Set>
              <Set action="offline" pressed={wish === 'offline'}>{text.offline}</Set>
            </div>
          </>
        )}
        <span class="push" />
        <span class="me cut" title={`${me.value?.name} (${me.value?.login})`}>{me.value?.name}</span>
        <button
          type="button" class="button quiet" aria-keyshortcuts={shortcuts('language')} onClick={() => run('language')}
          lang={language.value === 'de' ? 'en' : 'de'}
        >
          {text.language} <Hint action="language" />
        </button>
        <button
          type="button" class="button quiet" aria-keyshortcuts={shortcuts('help')} aria-haspopup="dialog"
          aria-expanded={dialog.value === 'help'} onClick={() => run('help')}
        >
          {text.help} <Hint action="help" />
        </button>
        <button type="button" class="button quiet" aria-keyshortcuts={shortcuts('log-out')} onClick={() => run('log-out')}>
          {text.logOut}
        </button>
      </div>
      <div class="bar-row second">
        <Views />
        <Beside />
      </div>
      <ClosedBanner />
    </header>
  )
}

/** What is the matter takes the place of the figures: it covers nothing, and its coming and going moves nothing. */
function Beside() {
  const cut = link.value.state === 'lost' || link.value.state === 'parked'
  if (cut || trouble.value !== null) {
    return (
      <div class="matter">
        <LinkLamp />
        <Trouble />
      </div>
    )
  }
  return (
    <>
      <Queues />
      <span class="push" />
      <Lamps />
    </>
  )
}

function LinkLamp() {
  const state = link.value
  const text = words.value.link
  switch (state.state) {
    case 'lost':
      return (
        <p class="link">
          <Icon name="cut" size={18} /> <strong>{text.lost}</strong> <Since since={state.since} />
          {trouble.value === null && <span class="link-long">{text.stale}</span>}
        </p>
      )
    case 'parked':
      return (
        <p class="link">
          <Icon name="cut" size={18} /> <strong>{text.parked}</strong>
          <button type="button" class="button" onClick={unpark}>{text.here}</button>
        </p>
      )
    default:
      return null
  }
}
