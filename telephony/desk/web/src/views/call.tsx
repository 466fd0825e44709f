/** The call in front: who it is and how certain we are, where it comes from, and the customer's card. */

import { choose } from '../actions'
import type { Certainty, Pop } from '../contract'
import { asked, choosing, current, digitsMean, how, picked, pops, queueLabel, who } from '../desk'
import { choiceDue, choosable, seeking, unanswered } from '../front'
import { words } from '../i18n'
import { CardPanels } from './card'
import { Icon } from './icons'
import type { IconName } from './icons'
import { Fact, Hint, Key, Since } from './parts'
import { Path } from './path'
import { Proven } from './requests'

const STATE_ICON: Record<Pop['state'], IconName> = { ringing: 'phone', talking: 'talking', wrap_up: 'pen' }

/** Characters of a name that stand in two lines of the large letters, at 1024 px and in a wide font. */
const LONG_NAME = 32

/** More than one call: the list, with the keys that go through it. */
export function Calls() {
  const text = words.value.pop
  if (pops.value.length < 2) return null
  return (
    <nav class="calls" aria-label={text.calls}>
      {pops.value.map((pop) => (
        <button
          key={pop.conversation} type="button" class={`call-tab is-${pop.state}`} aria-current={pop.conversation === current.value?.conversation}
          onClick={() => (picked.value = pop.conversation)}
        >
          <Icon name={STATE_ICON[pop.state]} size={18} />
          <span class="call-tab-state">{pop.held ? text.held : text[pop.state]}</span>
          <b class="call-tab-who" title={who(pop)}>{who(pop)}</b>
          <span class="call-tab-how">{how(pop)} · {queueLabel(pop.queue)}</span>
        </button>
      ))}
      <Hint action="next-call" />
    </nav>
  )
}

function CertaintyBadge({ pop }: { pop: Pop }) {
  const text = words.value
  const looking = seeking(pop) || unanswered(pop)
  const kind: Certainty | 'seeking' = looking ? 'seeking' : pop.match.certainty
  const reason = Object.hasOwn(text.reason, pop.match.reason) ? text.reason[pop.match.reason] : ''
  return (
    <div class={`certainty is-${kind}`}>
      <Icon name={kind} size={32} />
      <div>
        <strong>{how(pop)}</strong>
        <span>{seeking(pop) ? text.pop.seekingLong : reason || text.certainty[pop.match.certainty].long}</span>
        <Proven level={pop.level} />
      </div>
    </div>
  )
}

function Candidates({ pop }: { pop: Pop }) {
  const text = words.value.pop
  const owns = digitsMean.value === 'candidates'
  const onTheWay = choosing.value[pop.conversation]
  return (
    <section class="panel candidates" id="candidates" tabIndex={-1} aria-labelledby="candidates-title">
      <h3 id="candidates-title">{text.choose} {!owns && <Hint action="candidates" />}</h3>
      <ol>
        {pop.candidates.map((candidate, index) => (
          <li key={candidate.id}>
            <button
              type="button" class="choice" aria-pressed={pop.customer === candidate.id || onTheWay === candidate.id}
              aria-keyshortcuts={owns && index < 9 ? String(index + 1) : undefined} onClick={() => void choose(pop, candidate.id)}
            >
              {owns && index < 9 ? <Key of={String(index + 1)} /> : <span class="kbd ghost" aria-hidden="true">{index + 1}</span>}
              <span class="choice-name">{candidate.name || candidate.company}</span>
              <span class="choice-more">{[candidate.name === '' ? '' : candidate.company, candidate.number].filter(Boolean).join(' · ')}</span>
            </button>
          </li>
        ))}
      </ol>
      <p class="soft">{onTheWay === undefined ? text.chooseHint : text.choosing}</p>
    </section>
  )
}

export function Call({ pop }: { pop: Pop }) {
  const text = words.value.pop
  const tongue = pop.language === 'de' ? text.de : pop.language === 'en' ? text.en : pop.language || '–'
  const choose = choiceDue(pop) || (asked.value === 'candidates' && choosable(pop))
  return (
    <article class={`call is-${pop.state}`} id="call" tabIndex={-1} aria-labelledby="call-who">
      <header class={`call-head is-${pop.match.certainty}`}>
        <div class="call-name">
          <p class="call-state">
            <Icon name={STATE_ICON[pop.state]} size={18} /> {pop.held ? text.held : text[pop.state]}
            {choosable(pop) && !choose && <span class="again">{text.again} <Hint action="candidates" /></span>}
          </p>
          <h2 id="call-who" class={who(pop).length > LONG_NAME ? 'is-long' : undefined} title={who(pop)}>{who(pop)}</h2>
        </div>
        <CertaintyBadge pop={pop} />
      </header>
      <dl class="facts">
        <Fact name={text.number}>{pop.caller.withheld ? '–' : pop.caller.display || pop.caller.number || '–'}</Fact>
        <Fact name={text.queue}>{queueLabel(pop.queue)}</Fact>
        <Fact name={text.waited}>{pop.joined_at === null ? '–' : <Since since={pop.joined_at} until={pop.answered_at ?? pop.ended_at} />}</Fact>
        <Fact name={text.talked}>{pop.answered_at === null ? '–' : <Since since={pop.answered_at} until={pop.ended_at} />}</Fact>
        <Fact name={text.language}>{tongue}</Fact>
        {pop.caller.name !== '' && <Fact name={text.networkName}><span class="network-name" title={pop.caller.name}>{pop.caller.name}</span></Fact>}
        <Fact name={text.path} wide>
          <Path of={pop.path} />
        </Fact>
      </dl>
      {choose ? <div class="card-or-choice"><Candidates pop={pop} /></div> : <CardPanels pop={pop} />}
    </article>
  )
}
