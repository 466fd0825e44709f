/** What went wrong, until it is past, has been read, or is sent away. */

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { trouble, troubles } from '../desk'
import { clock } from '../format'
import { language, words } from '../i18n'
import { Hint } from './parts'

/** Long enough for the slowest reader of the longest of these texts (WCAG 2.2.1: twenty seconds, and it can be held). */
const READING_SECONDS = 20

export function Trouble() {
  const held = useSignal(false)
  const what = trouble.value
  useEffect(() => {
    if (what === null || held.value) return
    const timer = setTimeout(() => (trouble.value = null), READING_SECONDS * 1000)
    return () => clearTimeout(timer)
  }, [what, held.value])
  if (what === null) return null
  return (
    <div
      class="trouble" role="alert"
      onMouseEnter={() => (held.value = true)} onMouseLeave={() => (held.value = false)}
      onFocusIn={() => (held.value = true)} onFocusOut={() => (held.value = false)}
    >
      <span>{what.text}</span>
      <button type="button" class="button" onClick={() => (trouble.value = null)}>
        {words.value.problem.dismiss} <Hint action="close" />
      </button>
    </div>
  )
}

/** What screen readers find afterwards. It was said when it happened, so it is not said again. */
export function TroubleLog() {
  return (
    <section class="unseen" role="log" aria-live="off" aria-label={words.value.problem.log}>
      {troubles.value.map(({ at, text }, index) => <p key={index}>{clock(at, language.value)} {text}</p>)}
    </section>
  )
}
