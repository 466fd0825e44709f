/** A row of a list that is gone through by keys: chosen, it shows what can be done with it. */

import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

import type { Action } from '../keys'
import { Hint, shortcuts } from './parts'

export function Do({ action, go, children }: { action: Action; go: () => void; children: ComponentChildren }) {
  return (
    <button type="button" class="button" aria-keyshortcuts={shortcuts(action)} onClick={go}>{children} <Hint action={action} /></button>
  )
}

export function Item(props: { id: string; mine: boolean; dealt?: boolean; pick: () => void; face: ComponentChildren; children: ComponentChildren }) {
  const { id, mine, dealt = false, pick, face, children } = props
  const ref = useRef<HTMLLIElement>(null)
  // What its keys do is seen, too, at the end of a list.
  useLayoutEffect(() => {
    if (mine) ref.current?.scrollIntoView({ block: 'nearest' })
  }, [mine])
  return (
    <li ref={ref} class={`item${mine ? ' is-chosen' : ''}${dealt ? ' is-dealt' : ''}`}>
      <button type="button" class="item-face" id={id} aria-current={mine} onClick={pick} onFocus={pick}>{face}</button>
      {mine && children}
    </li>
  )
}

export function Face({ main, side, children }: { main: ComponentChildren; side: string; children: ComponentChildren }) {
  return (
    <>
      <span class="item-main">{main}</span>
      <span class="item-side">{side}</span>
      <span class="item-more">{children}</span>
    </>
  )
}
