/** A list in a box whose height others decide: it ends with a whole line, says how many are below, and scrolls. */

import { useSignal } from '@preact/signals'
import { useLayoutEffect, useRef } from 'preact/hooks'
import type { ComponentChildren } from 'preact'

import { words } from '../i18n'

/** `rows`: what of the content must not be cut, as a selector. `label`: the id of the element that names the box. */
export function Fold({ rows, label, children }: { rows: string; label: string; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const below = useSignal(0)

  const bottoms = (): number[] => {
    const top = content.current?.getBoundingClientRect().top ?? 0
    // Rounded as scroll positions are, or a line that just fits would be counted out.
    return [...(content.current?.querySelectorAll(rows) ?? [])].map((row) => Math.floor(row.getBoundingClientRect().bottom - top))
  }
  const count = () => {
    const { scrollTop, clientHeight } = box.current!
    below.value = bottoms().filter((bottom) => bottom > scrollTop + clientHeight + 1).length
  }
  useLayoutEffect(() => {
    const [element, inner] = [box.current!, content.current!]
    const look = () => {
      element.style.maxHeight = ''
      const room = element.clientHeight
      if (inner.offsetHeight > room) {
        // Of a first row that is too tall, as many of its lines as fit, below the row's own 4 px.
        const line = parseFloat(getComputedStyle(inner).lineHeight)
        const fits = bottoms().filter((bottom) => bottom <= room).at(-1) ?? 4 + Math.floor((room - 4) / line) * line
        element.style.maxHeight = `${fits}px`
      }
      count()
    }
    const observer = new ResizeObserver(look)
    observer.observe(element.parentElement!)
    observer.observe(inner)
    look()
    return () => observer.disconnect()
  }, [])

  return (
    <>
      {below.value > 0 && <span class="fold-more" aria-hidden="true">↓ {words.value.fold(below.value)}</span>}
      <div ref={box} class="fold" tabIndex={0} role="group" aria-labelledby={label} onScroll={count}>
        <div ref={content}>{children}</div>
      </div>
    </>
  )
}
