/** The language of the pages: chosen by the person, kept in this browser, else the user's, else the browser's. */

import { computed, effect, signal } from '@preact/signals'

import { speak } from '../api'
import type { Language } from '../contract'
import { de } from './de'
import type { Words } from './de'
import { en } from './en'

const STORED = 'callfloor.language'
const WORDS: Record<Language, Words> = { de, en }

const isLanguage = (value: unknown): value is Language => value === 'de' || value === 'en'

function stored(): Language | null {
  try {
    const value = localStorage.getItem(STORED)
    return isLanguage(value) ? value : null
  } catch {
    return null
  }
}

const chosen = signal<Language | null>(stored())
const given = signal<Language>(navigator.language.toLowerCase().startsWith('de') ? 'de' : 'en')

export const language = computed<Language>(() => chosen.value ?? given.value)
export const words = computed<Words>(() => WORDS[language.value])

/** The user's own language, as the server knows it; a choice made in this browser outranks it. */
export function suggest(value: unknown): void {
  if (isLanguage(value)) given.value = value
}

export function toggleLanguage(): void {
  chosen.value = language.value === 'de' ? 'en' : 'de'
  try {
    localStorage.setItem(STORED, chosen.value)
  } catch {
    // A browser that keeps nothing still speaks the language until the page is closed.
  }
}

effect(() => {
  document.documentElement.lang = language.value
  speak(language.value)
})
