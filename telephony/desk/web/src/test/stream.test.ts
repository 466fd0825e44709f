import { describe, expect, it } from 'vitest'

import { backoff } from '../backoff'
import type { Frame } from '../contract'
import { EMPTY, OutOfStep, apply, read } from '../mirror'
import type { Mirror } from '../mirror'
import { Stream } from '../stream'
import type { Link, Socket } from '../stream'

const snapshot = (seq: number, epoch = 'e', pop: Record<string, unknown> = {}): Frame =>
  ({ type: 'snapshot', epoch, seq, entities: { pop } }) as unknown as Frame
const put = (seq: number, id: string, value: unknown = { id, seq }, kind = 'pop'): Frame => ({ type: 'put', seq, kind, id, value })
const drop = (seq: number, id: string): Frame => ({ type: 'drop', seq, kind: 'pop', id })

describe('the mirror', () => {
  const start = apply(EMPTY, snapshot(41, 'e', { a: { id: 'a' } }))

  it('takes snapshots whole and changes one by one', () => {
    const after = [put(42, 'b'), put(45, 'a', { id: 'new' }), drop(46, 'b')].reduce(apply, start)
    expect(after.seq).toBe(46)
    expect({ ...after.entities.pop }).toEqual({ a: { id: 'new' } })
    expect({ ...start.entities.pop }).toEqual({ a: { id: 'a' } })
    expect({ ...apply(after, snapshot(3, 'f')).entities.pop }).toEqual({})
  })

  it('does not go backwards: a replay that overlaps changes nothing', () => {
    const frames = [put(42, 'b'), drop(43, 'a'), put(44, 'c')]
    const once = frames.reduce(apply, start)
    expect([...frames, ...frames].reduce(apply, start)).toEqual(once)
  })

  it('snapshot plus events equals the fresh snapshot, wherever the cut falls', () => {
    const frames = Array.from({ length: 60 }, (_, n) => (n % 7 === 3 ? drop(n + 50, `p${n % 5}`) : put(n + 50, `p${n % 5}`)))
    const whole = frames.reduce(apply, start)
    for (let cut = 0; cut <= frames.length; cut += 1) {
      const until = frames.slice(0, cut).reduce(apply, start)
      const fresh = apply(EMPTY, { type: 'snapshot', epoch: 'e', seq: until.seq, entities: until.entities })
      expect(frames.slice(cut).reduce(apply, fresh).entities).toEqual(whole.entities)
    }
  })

  it('asks for a snapshot when it cannot follow', () => {
    expect(() => apply(EMPTY, put(1, 'a'))).toThrow(OutOfStep)
    expect(() => apply(start, { type: 'hello', epoch: 'other', seq: 41, resumed: true })).toThrow(OutOfStep)
    expect(() => apply(start, { type: 'hello', epoch: 'e', seq: 41, resumed: false })).toThrow(OutOfStep)
    expect(apply(start, { type: 'hello', epoch: 'e', seq: 41, resumed: true })).toBe(start)
  })

  it('keeps hostile ids as ordinary keys, and unknown kinds out', () => {
    const after = [put(42, '__proto__', { polluted: true }), put(43, 'x', {}, 'wallboard')].reduce(apply, start)
    expect(Object.keys(after.entities.pop)).toEqual(['a', '__proto__'])
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    expect(after.seq).toBe(43)
    expect(after.entities).not.toHaveProperty('wallboard')
  })

  it.each(['', 'null', '[]', '7', '{"type":3}', '{"type":"put","seq":1,"kind":"pop","id":"a"}', '{"type":"put","seq":"1","kind":"pop","id":"a","value":{}}',
    '{"type":"snapshot","epoch":"e","seq":1}', '{"type":"drop","seq":1.5,"kind":"pop","id":"a"}'])('refuses %s', (text) => {
    expect(() => read(text)).toThrow(OutOfStep)
  })

  it('leaves out frames of a type it does not know', () => {
    expect(read('{"type":"constructor"}')).toBeNull()
    expect(read('{"type":"news","seq":1}')).toBeNull()
  })
})

describe('backoff', () => {
  it('grows, is capped, and is spread over the upper half', () => {
    expect([0, 1, 2, 3, 4, 5, 50].map((attempt) => backoff(attempt, 1))).toEqual([0.5, 1, 2, 4, 8, 15, 15])
    expect(backoff(3, 0)).toBe(2)
  })
})

/** A world whose time passes when told to. */
class Fake {
  time = 1000
  sockets: (Socket & { since: { seq: number; epoch: string } | null; sent: string[]; closed: boolean })[] = []
  timers: { at: number; run: () => void }[] = []
  links: Link[] = []
  refusals = 0
  mirror: Mirror = EMPTY
  stream: Stream

  constructor() {
    const fake = this
    this.stream = new Stream(
      {
        open(since) {
          const socket = {
            since, sent: [] as string[], closed: false, onmessage: null, onclose: null,
            send: (text: string) => void socket.sent.push(text),
            close: () => void (socket.closed = true),
          }
          fake.sockets.push(socket)
          return socket
        },
        now: () => fake.time,
        random: () => 1,
        later(seconds, run) {
          const timer = { at: fake.time + seconds, run }
          fake.timers.push(timer)
          return () => void (fake.timers = fake.timers.filter((other) => other !== timer))
        },
      },
      {
        changed: (mirror) => void (this.mirror = mirror),
        link: (link) => void this.links.push(link),
        refused: () => void (this.refusals += 1),
      },
    )
    this.stream.start()
  }

  get last() {
    return this.sockets[this.sockets.length - 1]!
  }

  say(frame: Frame): void {
    this.last.onmessage?.({ data: JSON.stringify(frame) })
  }

  pass(seconds: number): void {
    const end = this.time + seconds
    for (;;) {
      const next = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.timers = this.timers.filter((timer) => timer !== next)
      this.time = Math.max(this.time, next.at)
      next.run()
    }
    this.time = end
  }

  sleep(seconds: number): void {
    this.time += seconds
    this.pass(0)
  }
}

describe('the stream', () => {
  it('comes back after a cut with what it has, and says so meanwhile', () => {
    const world = new Fake()
    expect(world.last.since).toBeNull()
    world.say(snapshot(41))
    world.say(put(42, 'a'))
    world.last.onclose?.({ code: 1006 })
    expect(world.links.at(-1)).toEqual({ state: 'lost', since: 1000 })
    expect(Object.keys(world.mirror.entities.pop)).toEqual(['a'])
    world.pass(0.4)
    expect(world.sockets).toHaveLength(1)
    world.pass(0.2)
    expect(world.last.since).toEqual({ seq: 42, epoch: 'e' })
    world.say({ type: 'hello', epoch: 'e', seq: 42, resumed: true })
    world.say(drop(47, 'a'))
    expect(world.links.at(-1)).toEqual({ state: 'live' })
    expect(Object.keys(world.mirror.entities.pop)).toEqual([])
    expect(world.refusals).toBe(0)
  })

  it('waits longer after each failure, and asks whether there is still a session', () => {
    const world = new Fake()
    const waits = [0.5, 1, 2, 4]
    for (const wait of waits) {
      const tried = world.sockets.length
      world.last.onclose?.({ code: 1006 })
      world.pass(wait - 0.01)
      expect(world.sockets).toHaveLength(tried)
      world.pass(0.02)
      expect(world.sockets).toHaveLength(tried + 1)
    }
    expect(world.refusals).toBe(waits.length)
    expect(world.links.filter((link) => link.state === 'lost').map((link) => 'since' in link && link.since)).toEqual([1000, 1000, 1000, 1000])
  })

  it('asks about the session when the server ended it', () => {
    const world = new Fake()
    world.say(snapshot(1))
    world.last.onclose?.({ code: 4401 })
    expect(world.refusals).toBe(1)
  })

  it('does not fight over the place when there are too many desks', () => {
    const world = new Fake()
    world.say(snapshot(1))
    world.last.onclose?.({ code: 4429 })
    expect(world.links.at(-1)).toEqual({ state: 'parked' })
    world.pass(600)
    expect(world.sockets).toHaveLength(1)
    world.stream.wake()
    world.say(snapshot(2))
    expect(world.links.at(-1)).toEqual({ state: 'live' })
  })

  it('looks at once after a sleep', () => {
    const world = new Fake()
    world.say(snapshot(41))
    world.pass(30)
    expect(world.sockets).toHaveLength(1)
    world.sleep(3600)
    expect(world.sockets).toHaveLength(2)
    expect(world.sockets[0]?.closed).toBe(true)
    expect(world.last.since).toEqual({ seq: 41, epoch: 'e' })
    expect(world.links.at(-1)?.state).toBe('lost')
  })

  it('renews a silent connection without a word, and says so only when that fails', () => {
    const world = new Fake()
    world.say(snapshot(41))
    world.pass(64)
    expect(world.sockets).toHaveLength(2)
    expect(world.links.at(-1)).toEqual({ state: 'live' })
    world.pass(12)
    expect(world.links.at(-1)?.state).toBe('lost')
    world.say({ type: 'hello', epoch: 'e', seq: 41, resumed: true })
    expect(world.links.at(-1)).toEqual({ state: 'live' })
  })

  it('starts afresh when the server talks nonsense, and hears no dead socket', () => {
    const world = new Fake()
    world.say(snapshot(41))
    const old = world.last.onmessage
    world.last.onmessage?.({ data: 'nonsense' })
    world.pass(1)
    expect(world.last.since).toBeNull()
    old?.({ data: JSON.stringify(put(99, 'ghost')) })
    world.say(snapshot(50))
    expect(Object.keys(world.mirror.entities.pop)).toEqual([])
    expect(world.mirror.seq).toBe(50)
  })

  it('acknowledges only on a live line', () => {
    const world = new Fake()
    expect(world.stream.shown('c1')).toBe(false)
    world.say(snapshot(1))
    expect(world.stream.shown('c1')).toBe(true)
    expect(world.last.sent).toEqual(['{"type":"shown","conversation":"c1"}'])
  })

  it('is silent after its end', () => {
    const world = new Fake()
    world.say(snapshot(1))
    world.stream.stop()
    world.pass(3600)
    expect(world.sockets).toHaveLength(1)
    expect(world.timers).toEqual([])
  })
})
