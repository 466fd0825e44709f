import { describe, expect, it } from 'vitest'

import { DEFAULT_KEYS, clashes, keysOf, resolve } from '../keys'
import type { Focus, Stroke } from '../keys'

const stroke = (key: string, more: Partial<Stroke> = {}): Stroke =>
  ({ key, ctrlKey: false, altKey: false, shiftKey: false, metaKey: false, repeat: false, isComposing: false, ...more })

describe('the keys', () => {
  it('have one meaning each', () => {
    expect(clashes(DEFAULT_KEYS)).toEqual([])
    expect(clashes([...DEFAULT_KEYS, { action: 'ready', key: 'h' }])).toEqual(['h'])
  })

  it('send nobody home by a letter', () => {
    const away = DEFAULT_KEYS.filter(({ action }) => action === 'offline' || action === 'log-out')
    expect(away.filter(({ key }) => key.length === 1)).toEqual([])
  })

  it('leave the browser its own', () => {
    const taken = ['F1', 'F3', 'F5', 'F6', 'F7', 'F10', 'F11', 'F12', 'Shift+F10', 'Alt+F4', 'Tab', ' ', '/', "'", 'Backspace', 'Ctrl+f', 'Ctrl+r', 'Ctrl+t', 'Ctrl+w']
    expect(DEFAULT_KEYS.map((binding) => binding.key).filter((key) => taken.includes(key))).toEqual([])
  })

  it.each<[string, Partial<Stroke>, Focus, boolean, string | null]>([
    ['r', {}, 'elsewhere', true, 'ready'],
    ['r', {}, 'button', true, 'ready'],
    ['r', {}, 'text', true, null],
    ['r', {}, 'elsewhere', false, null],
    ['r', { ctrlKey: true }, 'elsewhere', true, null],
    ['r', { altKey: true }, 'elsewhere', true, null],
    ['r', { metaKey: true }, 'elsewhere', true, null],
    ['F2', {}, 'text', false, 'ready'],
    ['F2', { repeat: true }, 'text', true, null],
    ['3', {}, 'elsewhere', true, 'digit-3'],
    ['3', {}, 'text', true, null],
    ['Enter', {}, 'elsewhere', true, 'finish'],
    ['Enter', {}, 'elsewhere', false, 'finish'],
    ['Enter', {}, 'button', true, null],
    ['Enter', {}, 'text', true, null],
    ['Enter', { ctrlKey: true }, 'text', false, 'finish'],
    ['Enter', { ctrlKey: true, isComposing: true }, 'text', true, null],
    ['Escape', {}, 'text', false, 'close'],
    ['?', {}, 'elsewhere', true, 'help'],
    ['?', {}, 'text', true, null],
    ['?', { shiftKey: true }, 'elsewhere', true, 'help'],
    ['F2', { shiftKey: true }, 'text', false, 'offline'],
    ['F4', { shiftKey: true }, 'text', true, 'log-out'],
    ['F4', { shiftKey: true, ctrlKey: true }, 'text', true, null],
    ['Enter', { shiftKey: true }, 'elsewhere', true, null],
  ])('%s %o on %s (single keys %s) is %s', (key, more, focus, single, action) => {
    expect(resolve(stroke(key, more), focus, single)).toBe(action)
  })

  it('can be remapped', () => {
    const mine = [{ action: 'ready' as const, key: 'F8', everywhere: true }]
    expect(resolve(stroke('F8'), 'text', true, mine)).toBe('ready')
    expect(resolve(stroke('F2'), 'text', true, mine)).toBeNull()
    expect(keysOf('ready', mine)).toEqual(['F8'])
  })
})
