/** The keys, as data. One table, one listener: an action has the same key everywhere, and no key fires twice.
 *
 * Letters and digits work only while no text field has the focus, and people can switch them off (WCAG 2.1.4: some
 * speak to their machine, some use a screen reader that wants the letters for itself). F2, F4, F8, F9, their chords
 * with Shift that are bound here, and Ctrl+Enter work everywhere; no current browser uses them. F1, F3, F5, F6, F7, F10, F11, F12 belong to browsers. What takes a
 * person off the line has no letter at all: a word typed past its field must not send anybody home.
 */

export type Action =
  | 'ready' | 'pause' | 'offline'
  | 'next-call' | 'candidates' | 'note' | 'codes' | 'finish'
  | 'decide' | 'play' | 'heard' | 'withdraw' | 'promise' | 'closure' | 'make-live' | 'zoom'
  | 'row-next' | 'row-before' | 'list-next' | 'list-before'
  | 'view-call' | 'view-history' | 'view-team' | 'view-outbox' | 'view-reception' | 'view-flow'
  | 'help' | 'close' | 'language' | 'log-out'
  | `digit-${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}`

export interface Binding {
  action: Action
  /** `KeyboardEvent.key`, with `Ctrl+` or `Shift+` before it where it takes that. */
  key: string
  /** Works inside text fields, too, and when single keys are switched off. */
  everywhere?: boolean
}

export type Keymap = readonly Binding[]

export const DEFAULT_KEYS: Keymap = [
  { action: 'ready', key: 'F2', everywhere: true },
  { action: 'ready', key: 'r' },
  { action: 'pause', key: 'F4', everywhere: true },
  { action: 'pause', key: 'p' },
  { action: 'offline', key: 'Shift+F2', everywhere: true },
  { action: 'next-call', key: 'F8', everywhere: true },
  { action: 'next-call', key: 'w' },
  { action: 'candidates', key: 'k' },
  { action: 'note', key: 'F9', everywhere: true },
  { action: 'note', key: 'n' },
  { action: 'codes', key: 'e' },
  { action: 'finish', key: 'Ctrl+Enter', everywhere: true },
  { action: 'finish', key: 'Enter' },
  { action: 'decide', key: 'a' },
  { action: 'play', key: 's' },
  { action: 'heard', key: 'g' },
  { action: 'withdraw', key: 'x' },
  { action: 'promise', key: 'v' },
  { action: 'closure', key: 'o' },
  { action: 'make-live', key: 'd' },
  { action: 'zoom', key: 'z' },
  { action: 'row-next', key: 'ArrowDown' },
  { action: 'row-before', key: 'ArrowUp' },
  { action: 'list-next', key: 'ArrowRight' },
  { action: 'list-before', key: 'ArrowLeft' },
  { action: 'view-call', key: 'c' },
  { action: 'view-history', key: 'h' },
  { action: 'view-team', key: 't' },
  { action: 'view-outbox', key: 'b' },
  { action: 'view-reception', key: 'm' },
  { action: 'view-reception', key: 'Shift+F8', everywhere: true },
  { action: 'view-flow', key: 'f' },
  { action: 'language', key: 'l' },
  { action: 'log-out', key: 'Shift+F4', everywhere: true },
  { action: 'help', key: '?' },
  { action: 'close', key: 'Escape', everywhere: true },
  ...([1, 2, 3, 4, 5, 6, 7, 8, 9] as const).map((n): Binding => ({ action: `digit-${n}`, key: String(n) })),
]

/** What of a keyboard event matters here. */
export interface Stroke {
  key: string
  ctrlKey: boolean
  altKey: boolean
  shiftKey: boolean
  metaKey: boolean
  repeat: boolean
  isComposing: boolean
}

/** Where the focus is: keys mean text in a field, and Enter means "press me" on a button. */
export type Focus = 'text' | 'button' | 'elsewhere'

/** The action of a stroke, or none. Pure; `single` is false when the person switched the single keys off. */
export function resolve(stroke: Stroke, focus: Focus, single: boolean, keymap: Keymap = DEFAULT_KEYS): Action | null {
  // A held key must not take a second call or send a second wrap-up.
  if (stroke.repeat || stroke.isComposing || stroke.altKey || stroke.metaKey) return null
  const named = stroke.key.length > 1
  const key = (stroke.ctrlKey ? 'Ctrl+' : '') + (stroke.shiftKey && named ? 'Shift+' : '') + stroke.key
  const binding = keymap.find((candidate) => candidate.key === key)
  if (binding === undefined) return null
  const plain = binding.everywhere !== true
  if (plain && (focus === 'text' || (!single && !named))) return null
  if (key === 'Enter' && focus === 'button') return null
  return binding.action
}

/** Twins in a keymap: two actions on one key. Empty for a usable one. */
export function clashes(keymap: Keymap): string[] {
  const keys = keymap.map((binding) => binding.key)
  return [...new Set(keys.filter((key, index) => keys.indexOf(key) !== index))]
}

/** The keys of an action, best first, for the hint beside its button. */
export function keysOf(action: Action, keymap: Keymap = DEFAULT_KEYS): string[] {
  return keymap.filter((binding) => binding.action === action).map((binding) => binding.key)
}

const TEXTUAL = new Set(['text', 'password', 'search', 'email', 'tel', 'url', 'number', 'date', 'time'])

export function focusOf(element: Element | null): Focus {
  if (element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement) return 'text'
  if (element instanceof HTMLInputElement) return TEXTUAL.has(element.type) ? 'text' : 'elsewhere'
  if (element instanceof HTMLElement && element.isContentEditable) return 'text'
  if (element instanceof HTMLButtonElement || element instanceof HTMLAnchorElement) return 'button'
  return 'elsewhere'
}
