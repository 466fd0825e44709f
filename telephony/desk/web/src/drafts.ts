/** What the person writes about a conversation, kept apart from the stream: a note survives whatever comes in.
 *
 * The note is saved a moment after the last key; a failed save is tried again with growing pauses until it is
 * through, the wrap-up is finished or the page is closed. The server's copy is taken over only while nothing unsaved
 * is here.
 */

import { signal } from '@preact/signals'
import type { Signal } from '@preact/signals'

import { backoff } from './backoff'

export type Saved = 'untouched' | 'saved' | 'saving' | 'dirty' | 'unsaved'

export type Finishing = 'no' | 'sending' | 'done'

export interface Draft {
  readonly conversation: string
  readonly note: Signal<string>
  readonly code: Signal<string | null>
  readonly saved: Signal<Saved>
  /** The wrap-up: `done` means the server has it, and only its pop is still on the screen. */
  readonly finishing: Signal<Finishing>
  readonly error: Signal<string>
}

/** The server takes no longer note than this (characters). */
export const NOTE_LIMIT = 8000
const PAUSE = 0.6

export class Drafts {
  private readonly drafts = new Map<string, Draft>()
  private readonly timers = new Map<string, () => void>()
  private readonly confirmed = new Map<string, string>()
  private readonly failures = new Map<string, number>()
  private readonly inFlight = new Set<string>()

  constructor(
    private readonly put: (conversation: string, note: string, leaving: boolean) => Promise<unknown>,
    /** Whether it makes sense to try again after this failure. */
    private readonly hopeful: (failure: unknown) => boolean,
    private readonly later: (seconds: number, run: () => void) => () => void,
    private readonly random: () => number = Math.random,
  ) {}

  of(conversation: string): Draft {
    let draft = this.drafts.get(conversation)
    if (draft === undefined) {
      draft = {
        conversation,
        note: signal(''),
        code: signal<string | null>(null),
        saved: signal<Saved>('untouched'),
        finishing: signal<Finishing>('no'),
        error: signal(''),
      }
      this.drafts.set(conversation, draft)
    }
    return draft
  }

  known(): string[] {
    return [...this.drafts.keys()]
  }

  /** The server's copy of the note: from an earlier page, or from another tab. */
  offer(conversation: string, note: string): void {
    const draft = this.of(conversation)
    const clean = draft.saved.peek() === 'untouched' || draft.saved.peek() === 'saved'
    if (!clean || this.inFlight.has(conversation)) return
    // Our own save comes back on the stream; what was confirmed before it is older than what is here.
    if (note === draft.note.peek()) return
    this.confirmed.set(conversation, note)
    draft.note.value = note
  }

  write(conversation: string, note: string): void {
    const draft = this.of(conversation)
    draft.note.value = note
    draft.error.value = ''
    draft.saved.value = 'dirty'
    this.schedule(conversation, PAUSE)
  }

  /** Save now what is not saved yet: the field lost the focus, or the page is going away. */
  flush(conversation: string, leaving = false): void {
    if (this.timers.has(conversation)) void this.save(conversation, leaving)
  }

  flushAll(): void {
    for (const conversation of this.known()) this.flush(conversation, true)
  }

  /** The wrap-up is through, or the conversation is nobody's business here any more. */
  forget(conversation: string): void {
    this.cancel(conversation)
    this.drafts.delete(conversation)
    this.confirmed.delete(conversation)
    this.failures.delete(conversation)
  }

  /** No save may overtake the wrap-up that carries the same note. */
  hold(conversation: string): void {
    this.cancel(conversation)
  }

  /** The wrap-up failed: what is not saved is saved as a draft, after all. */
  release(conversation: string): void {
    if (this.of(conversation).saved.peek() !== 'saved') this.schedule(conversation, PAUSE)
  }

  private cancel(conversation: string): void {
    this.timers.get(conversation)?.()
    this.timers.delete(conversation)
  }

  private schedule(conversation: string, seconds: number): void {
    this.cancel(conversation)
    this.timers.set(
      conversation,
      this.later(seconds, () => void this.save(conversation, false)),
    )
  }

  private async save(conversation: string, leaving: boolean): Promise<void> {
    this.cancel(conversation)
    const draft = this.drafts.get(conversation)
    if (draft === undefined || draft.finishing.peek() !== 'no') return
    // One save at a time, in order: an older text must not land after a newer one.
    if (this.inFlight.has(conversation) && !leaving) return
    const note = draft.note.peek()
    if (note === this.confirmed.get(conversation)) {
      draft.saved.value = 'saved'
      return
    }
    this.inFlight.add(conversation)
    draft.saved.value = 'saving'
    try {
      await this.put(conversation, note, leaving)
      this.confirmed.set(conversation, note)
      this.failures.delete(conversation)
    } catch (failure) {
      const failed = (this.failures.get(conversation) ?? 0) + 1
      this.failures.set(conversation, failed)
      if (this.drafts.get(conversation) === draft) {
        draft.saved.value = 'unsaved'
        if (this.hopeful(failure)) this.schedule(conversation, backoff(failed, this.random(), 1, 20))
      }
      return
    } finally {
      this.inFlight.delete(conversation)
    }
    if (this.drafts.get(conversation) !== draft) return
    if (draft.note.peek() === note) draft.saved.value = 'saved'
    else {
      draft.saved.value = 'dirty'
      this.schedule(conversation, PAUSE)
    }
  }
}
