import { beforeEach, describe, expect, it } from 'vitest'

import { Drafts } from '../drafts'

const settle = async () => {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve()
}

describe('drafts', () => {
  let puts: { note: string; leaving: boolean; done: () => void; fail: (why: unknown) => void }[]
  let timers: { seconds: number; run: () => void }[]
  let drafts: Drafts

  beforeEach(() => {
    puts = []
    timers = []
    drafts = new Drafts(
      (_, note, leaving) => new Promise<void>((done, fail) => puts.push({ note, leaving, done, fail })),
      (failure) => failure === 'later',
      (seconds, run) => {
        const timer = { seconds, run }
        timers.push(timer)
        return () => void (timers = timers.filter((other) => other !== timer))
      },
      () => 1,
    )
  })

  const fire = () => timers.splice(0).forEach((timer) => timer.run())

  it('saves once for many keys, a moment after the last', async () => {
    for (const note of ['P', 'Pa', 'Pak']) drafts.write('c', note)
    expect(timers).toHaveLength(1)
    fire()
    expect(puts.map((put) => put.note)).toEqual(['Pak'])
    expect(drafts.of('c').saved.value).toBe('saving')
    puts[0]!.done()
    await settle()
    expect(drafts.of('c').saved.value).toBe('saved')
  })

  it('sends one at a time, and the newest text last', async () => {
    drafts.write('c', 'a')
    fire()
    drafts.write('c', 'ab')
    fire()
    expect(puts).toHaveLength(1)
    puts[0]!.done()
    await settle()
    expect(drafts.of('c').saved.value).toBe('dirty')
    fire()
    expect(puts.map((put) => put.note)).toEqual(['a', 'ab'])
  })

  it('tries again with growing pauses when the server is away, and not when it refuses', async () => {
    drafts.write('c', 'a')
    fire()
    puts[0]!.fail('later')
    await settle()
    expect(drafts.of('c').saved.value).toBe('unsaved')
    expect(timers.map((timer) => timer.seconds)).toEqual([2])
    fire()
    puts[1]!.fail('later')
    await settle()
    expect(timers.map((timer) => timer.seconds)).toEqual([4])
    fire()
    puts[2]!.fail('never')
    await settle()
    expect(timers).toEqual([])
    expect(drafts.of('c').note.value).toBe('a')
  })

  it('takes the server’s copy only over what is saved', async () => {
    drafts.offer('c', 'from yesterday')
    expect(drafts.of('c').note.value).toBe('from yesterday')
    drafts.write('c', 'mine')
    drafts.offer('c', 'older')
    expect(drafts.of('c').note.value).toBe('mine')
    fire()
    drafts.offer('c', 'older')
    puts[0]!.done()
    await settle()
    expect(drafts.of('c').note.value).toBe('mine')
    drafts.offer('c', 'other tab')
    expect(drafts.of('c').note.value).toBe('other tab')
  })

  it('holds still while the wrap-up is on its way, and goes on when that fails', () => {
    drafts.write('c', 'a')
    drafts.of('c').finishing.value = 'sending'
    drafts.hold('c')
    fire()
    expect(puts).toEqual([])
    drafts.of('c').finishing.value = 'no'
    drafts.release('c')
    fire()
    expect(puts.map((put) => put.note)).toEqual(['a'])
  })

  it('saves what is left when the page goes away', () => {
    drafts.write('c', 'a')
    drafts.flushAll()
    expect(puts).toMatchObject([{ note: 'a', leaving: true }])
    drafts.flushAll()
    expect(puts).toHaveLength(1)
  })

  it('forgets', () => {
    drafts.write('c', 'a')
    drafts.forget('c')
    fire()
    expect(puts).toEqual([])
    expect(drafts.of('c').note.value).toBe('')
  })
})
