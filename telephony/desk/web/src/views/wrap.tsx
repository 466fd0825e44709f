/** Note and outcome. They stand in the same place from the first word of the call to the end of the wrap-up. */

import { useEffect, useRef } from 'preact/hooks'

import { codesOf, finish, presenceBusy, setPresence, toNote } from '../actions'
import type { Pop } from '../contract'
import { digitsMean, drafts, due, me, queues, startWriting } from '../desk'
import { NOTE_LIMIT } from '../drafts'
import type { Draft, Saved } from '../drafts'
import { label } from '../format'
import { language, words } from '../i18n'
import { focusOf } from '../keys'
import { Icon } from './icons'
import { Hint, Key, Left, shortcuts } from './parts'

export function Wrap({ pop }: { pop: Pop | null }) {
  const task = due.value
  const conversation = pop?.conversation ?? task?.conversation
  if (conversation === undefined) return null
  const ended = pop === null || pop.state === 'wrap_up'
  const mine = task?.conversation === conversation ? task : null
  const queue = pop?.queue ?? mine?.queue ?? ''
  const rule = queues.value[queue]?.wrap_up ?? 'optional'
  const needed = mine?.required ?? rule === 'required'
  const open = pop === null || pop.state !== 'ringing'
  const draft = drafts.of(conversation)
  const text = words.value.wrap
  return (
    <section class={ended ? 'panel wrap is-due' : 'panel wrap'} aria-labelledby="wrap-title">
      <h2 id="wrap-title">
        <Icon name="pen" /> {text.heading}
        <span class="push" />
        {mine !== null && mine.deadline !== null && (
          <span class="wrap-left">{text.deadline} <Left deadline={mine.deadline} /></span>
        )}
      </h2>
      <form
        key={conversation}
        onSubmit={(event) => {
          event.preventDefault()
          if (ended) void finish(conversation, queue)
        }}
      >
        <Codes draft={draft} queue={queue} open={open} ended={ended} needed={needed} rule={rule} />
        <Note draft={draft} open={open} />
        <p class="wrong" role="alert">{draft.error.value}</p>
        <div class="wrap-end">
          <button
            type="submit" class="button main" disabled={!ended} aria-disabled={draft.finishing.value !== 'no'} aria-keyshortcuts={shortcuts('finish')}
          >
            {draft.finishing.value === 'no' ? text.finish : text.finishing} <Hint action="finish" />
          </button>
          {ended && !needed && (
            <button type="button" class="button" aria-disabled={presenceBusy.value} onClick={() => void setPresence('ready')}>
              {text.skip} <Hint action="ready" />
            </button>
          )}
        </div>
      </form>
    </section>
  )
}

function Codes(props: { draft: Draft; queue: string; open: boolean; ended: boolean; needed: boolean; rule: string }) {
  const { draft, queue, open, ended, needed, rule } = props
  const text = words.value.wrap
  const codes = codesOf(queue)
  const ref = useRef<HTMLFieldSetElement>(null)
  const owns = digitsMean.value === 'codes' || (digitsMean.value === 'none' && open)
  // The call is over: the hands go on where the work is, unless they are writing.
  useEffect(() => {
    if (ended && focusOf(document.activeElement) !== 'text') {
      const inputs = ref.current?.querySelectorAll('input')
      ;[...(inputs ?? [])].find((input) => input.checked || !draft.code.peek())?.focus()
    }
  }, [ended])
  return (
    <fieldset ref={ref} class="codes" id="codes" tabIndex={-1} disabled={!open}>
      <legend>
        {text.code} <span class="tag">{needed ? text.required : text.optional}</span>
        {open && !owns && <Hint action="codes" />}
      </legend>
      {codes.length === 0 && <p class="soft">{rule === 'none' ? text.none : text.missing}</p>}
      <div class="code-list">
        {codes.map((choice, index) => (
          <label key={choice.code} class={draft.code.value === choice.code ? 'choice is-chosen' : 'choice'}>
            <input
              id={`code-${choice.code}`} type="radio" name="code" value={choice.code} checked={draft.code.value === choice.code}
              aria-keyshortcuts={index < 9 ? String(index + 1) : undefined}
              onChange={() => {
                draft.code.value = choice.code
                draft.error.value = ''
              }}
              // With the mouse as with its digit; the arrow keys go on through the list (their clicks count nothing).
              onClick={(event) => event.detail > 0 && toNote()}
            />
            {index < 9 && (owns && open ? <Key of={String(index + 1)} /> : <span class="kbd ghost" aria-hidden="true">{index + 1}</span>)}
            <span class="choice-name">{label(choice.label, language.value, choice.code)}</span>
            <Icon name="check" size={18} />
          </label>
        ))}
      </div>
    </fieldset>
  )
}

function Note({ draft, open }: { draft: Draft; open: boolean }) {
  const text = words.value.wrap
  const said: Record<Saved, string> = {
    untouched: '', saved: text.saved, saving: text.saving, dirty: text.saving, unsaved: text.unsaved,
  }
  const left = NOTE_LIMIT - draft.note.value.length
  return (
    <div class="note">
      <label for="note">
        {text.notes} <Hint action="note" />
        <span class="push" />
        {open && draft.code.value !== null && <span class="other-code">{text.other} <Key of="Shift+Tab" brief /></span>}
      </label>
      <textarea
        id="note" disabled={!open} maxLength={NOTE_LIMIT} value={draft.note.value} aria-describedby="note-hint" lang={me.value?.language}
        readOnly={draft.finishing.value !== 'no'} aria-keyshortcuts={shortcuts('note')}
        onFocus={() => startWriting(draft.conversation)}
        onInput={(event) => drafts.write(draft.conversation, event.currentTarget.value)}
        onBlur={() => drafts.flush(draft.conversation)}
      />
      <p class={draft.saved.value === 'unsaved' ? 'saved is-bad' : 'saved'} id="note-saved" role="status">
        {left < 300 ? text.left(left) : said[draft.saved.value] || '\u00a0'}
      </p>
      <span class="unseen" id="note-hint">{text.noteHint} {text.otherHint}</span>
    </div>
  )
}
