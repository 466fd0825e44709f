import { useEffect, useRef } from 'preact/hooks'
import type { ComponentChildren } from 'preact'

import { duration, isoDuration } from '../format'
import { now, said } from '../desk'
import { words } from '../i18n'
import { keysOf } from '../keys'
import type { Action } from '../keys'

/** One key as it stands on the keyboard, in the person's language; beside a button there is room for its sign only. */
export function Key({ of, brief = false }: { of: string; brief?: boolean }) {
  const parts = of.split('+').map((part) =>
    brief && part === 'Shift' ? '⇧' : (words.value.key[part] ?? (part.length === 1 ? part.toUpperCase() : part)),
  )
  return <kbd class="kbd">{parts.join(brief && parts[0] === '⇧' ? ' ' : ' + ')}</kbd>
}

/** The hint beside a button. The first key of the action stands for it; readers hear it from `aria-keyshortcuts`. */
export function Hint({ action }: { action: Action }) {
  const key = keysOf(action)[0]
  return key === undefined ? null : (
    <span class="hint" aria-hidden="true">
      <Key of={key} brief />
    </span>
  )
}

/** For `aria-keyshortcuts`: `F2 R`. */
export const shortcuts = (action: Action): string =>
  keysOf(action)
    .map((key) => key.replace('Ctrl', 'Control'))
    .join(' ')

/** A clock that counts from `since` (server's Unix seconds); 0 is no time: nothing has happened yet. */
export function Since({ since, until }: { since: number; until?: number | null }) {
  if (since <= 0) return <span class="clock">–</span>
  const seconds = (until ?? now.value) - since
  return (
    <time class="clock" dateTime={isoDuration(seconds)}>
      {duration(seconds)}
    </time>
  )
}

/** A clock that counts down to `deadline`. */
export function Left({ deadline }: { deadline: number }) {
  const seconds = Math.ceil(deadline - now.value)
  return (
    <time class={seconds <= 10 ? 'clock urgent' : 'clock'} dateTime={isoDuration(seconds)}>
      {duration(seconds)}
    </time>
  )
}

export function Fact({ name, children, wide = false }: { name: string; children: ComponentChildren; wide?: boolean }) {
  return (
    <div class={wide ? 'fact wide' : 'fact'}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** What the screen reader is told as it happens. */
export function LiveRegions() {
  return (
    <>
      <div class="unseen" role="status">{said.value.calm.text}</div>
      <div class="unseen" role="alert">{said.value.urgent.text}</div>
    </>
  )
}

/** A modal over the page; the browser keeps the focus inside and gives it back. `Esc` is the key table's. */
export function Modal({ label, children, onClose }: { label: string; children: ComponentChildren; onClose: () => void }) {
  const ref = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const element = ref.current
    element?.showModal()
    return () => element?.close()
  }, [])
  return (
    <dialog
      ref={ref}
      class="modal"
      aria-label={label}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
    >
      {children}
    </dialog>
  )
}
