import { dialog, current, due, link, ready, session, view } from '../desk'
import { words } from '../i18n'
import { Bar } from './bar'
import { Call, Calls } from './call'
import { Help, Pause } from './dialogs'
import { Flow, GoLive } from './flow'
import { HistoryTable } from './history'
import { Idle, IdleSide } from './idle'
import { LogIn } from './login'
import { LiveRegions } from './parts'
import { Reception } from './reception'
import { Closure, PromiseCallBack, Withdraw } from './reception-dialogs'
import { Decide } from './requests'
import { Outbox } from './supervisor'
import { Team } from './team'
import { TroubleLog } from './trouble'
import { Wrap } from './wrap'

export function Page() {
  return (
    <>
      <LiveRegions />
      {session.value === 'out' && <LogIn />}
      {session.value === 'in' && <Desk />}
    </>
  )
}

function Desk() {
  const text = words.value
  return (
    <div class={link.value.state === 'lost' || link.value.state === 'parked' ? 'desk is-stale' : 'desk'}>
      <a class="skip" href="#main">{text.skip}</a>
      <Bar />
      <main id="main" tabIndex={-1} aria-busy={!ready.value}>
        <h1 class="unseen">{text.title}</h1>
        {!ready.value ? <p class="waiting" role="status">{text.link.connecting}</p> : <Shown />}
      </main>
      <TroubleLog />
      {dialog.value === 'help' && <Help />}
      {dialog.value === 'pause' && <Pause />}
      {dialog.value === 'decide' && <Decide />}
      {dialog.value === 'promise' && <PromiseCallBack />}
      {dialog.value === 'withdraw' && <Withdraw />}
      {dialog.value === 'closure' && <Closure />}
      {dialog.value === 'live' && <GoLive />}
    </div>
  )
}

function Shown() {
  const pop = current.value
  switch (view.value) {
    case 'history':
      return <div class="whole"><HistoryTable /></div>
    case 'team':
      return <div class="whole"><Team /></div>
    case 'outbox':
      return <div class="whole"><Outbox /></div>
    case 'reception':
      return <div class="whole"><Reception /></div>
    case 'flow':
      return <div class="whole"><Flow /></div>
    case 'call':
      return (
        <div class="stage">
          <div class="front">
            <Calls />
            {pop === null ? <Idle /> : <Call key={pop.conversation} pop={pop} />}
          </div>
          <aside class="side" aria-label={text(pop !== null || due.value !== null)}>
            {pop === null && due.value === null ? <IdleSide /> : <Wrap pop={pop} />}
          </aside>
        </div>
      )
  }
}

const text = (wrap: boolean): string => (wrap ? words.value.wrap.notes : words.value.idle.queues)
