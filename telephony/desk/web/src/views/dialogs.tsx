import { setPresence, singleKeys, toggleSingleKeys } from '../actions'
import { dialog, office, supervises, takesCalls, viewsSeen } from '../desk'
import { publishes } from '../flow'
import { label } from '../format'
import { language, words } from '../i18n'
import type { Action } from '../keys'
import { KeyRows } from './idle'
import { Hint, Key, Modal } from './parts'

const close = () => {
  dialog.value = null
}

type Group = 'presence' | 'call' | 'reception' | 'pages'

/** The keys that do something for this person. */
function groups(): [Group, Action[]][] {
  const pages = viewsSeen.value.map((view): Action => `view-${view}`)
  const reception: [Group, Action[]] = ['reception', [
    'row-next', 'list-next', 'decide', 'play', 'heard', 'promise', 'withdraw', ...(supervises.value ? ['closure'] as const : []), ...(publishes.value ? ['make-live'] as const : []), ...(supervises.value ? ['zoom'] as const : []),
  ]]
  const general: Action[] = [...pages, 'language', 'help', 'close']
  if (!takesCalls.value) return [reception, ['pages', [...general, 'log-out']]]
  return [
    ['presence', ['ready', 'pause', 'offline', 'log-out']],
    ['pages', general],
    ['call', ['next-call', 'candidates', 'codes', 'note', 'finish']],
    reception,
  ]
}

export function Help() {
  const text = words.value.help
  return (
    <Modal label={text.heading} onClose={close}>
      <header class="modal-head">
        <h2>{text.heading}</h2>
        <button type="button" class="button" onClick={close}>{text.close} <Hint action="close" /></button>
      </header>
      <div class="help-groups">
        {groups().map(([name, actions]) => (
          <section key={name}>
            <h3>{text.groups[name]}</h3>
            <KeyRows actions={actions} />
            {name === 'call' && (
              <dl class="keys">
                <div><dt><Key of="1" />…<Key of="9" /></dt><dd>{text.actions.digits}</dd></div>
                <div><dt><Key of="Shift+Tab" /></dt><dd>{text.actions['other-code']}</dd></div>
              </dl>
            )}
          </section>
        ))}
      </div>
      <div class="single">
        <p>{singleKeys.value ? text.singleOn : text.singleOff}</p>
        <button type="button" class="button" onClick={toggleSingleKeys}>{singleKeys.value ? text.turnOff : text.turnOn}</button>
      </div>
    </Modal>
  )
}

export function Pause() {
  const text = words.value.pause
  const reasons = office.value?.pauses ?? []
  return (
    <Modal label={text.heading} onClose={close}>
      <header class="modal-head">
        <h2>{text.heading}</h2>
      </header>
      {reasons.length === 0 ? (
        <button type="button" class="choice" onClick={() => void setPresence('paused')}>{text.plain}</button>
      ) : (
        <ol class="reasons">
          {reasons.map((reason, index) => (
            <li key={reason.code}>
              <button type="button" class="choice" aria-keyshortcuts={index < 9 ? String(index + 1) : undefined} onClick={() => void setPresence('paused', reason.code)}>
                {index < 9 && <Key of={String(index + 1)} />}
                <span class="choice-name">{label(reason.label, language.value, reason.code)}</span>
              </button>
            </li>
          ))}
        </ol>
      )}
      <p class="soft">{text.hint}</p>
    </Modal>
  )
}
