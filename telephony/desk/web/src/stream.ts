/** The client of the event stream: connects, keeps the mirror, comes back after a cut, a sleep or a restart.
 *
 * A browser cannot see a WebSocket's pings, and a socket that lost its network may look open for minutes. Three things
 * make us look again: the clock jumped (we slept), the browser says it is online again, and silence. After silence we
 * only renew the connection; resuming costs one frame, and nobody sees it unless it fails.
 */

import { backoff } from './backoff'
import type { Frame } from './contract'
import { EMPTY, OutOfStep, apply, read } from './mirror'
import type { Mirror } from './mirror'

export type Link =
  | { state: 'connecting' }
  | { state: 'live' }
  /** What is on the screen may be out of date since then. */
  | { state: 'lost'; since: number }
  /** The person opened more desks than the server allows, and this was the oldest. It comes back only when asked. */
  | { state: 'parked' }

export interface Socket {
  onmessage: ((message: { data: unknown }) => void) | null
  onclose: ((close: { code: number }) => void) | null
  send(text: string): void
  close(): void
}

export interface World {
  open(since: { seq: number; epoch: string } | null): Socket
  /** Unix seconds. */
  now(): number
  random(): number
  later(seconds: number, run: () => void): () => void
}

export interface Hooks {
  changed(mirror: Mirror): void
  link(link: Link): void
  /** The server let us in no longer, or could not be reached: is there still a session? */
  refused(): void
}

const TICK = 2
const JUMP = 10
const SILENCE = 60
const PATIENCE = 8
const SESSION_ENDED = 4401
const TOO_MANY = 4429

export class Stream {
  private mirror: Mirror = EMPTY
  private socket: Socket | null = null
  private live = false
  private attempt = 0
  private lostAt: number | null = null
  private heard = 0
  private ticked = 0
  private cancelRetry: (() => void) | null = null
  private cancelTick: (() => void) | null = null

  constructor(
    private readonly world: World,
    private readonly hooks: Hooks,
  ) {}

  start(): void {
    this.ticked = this.world.now()
    this.hooks.link({ state: 'connecting' })
    this.connect()
    this.tick()
  }

  /** Ends for good; nothing is called back afterwards. */
  stop(): void {
    this.cancelRetry?.()
    this.cancelTick?.()
    this.discard()
  }

  /** The machine woke up, or its network came back: look at once, do not wait for the backoff. */
  wake(): void {
    this.attempt = 0
    this.discard()
    this.lost()
    this.connect()
  }

  /** A new connection in place of a silent one; what was missed comes with it. */
  private renew(): void {
    this.discard()
    this.connect()
  }

  /** Tells the server that a pop is on the screen. Silent when there is no link: a resumed stream shows it again. */
  shown(conversation: string): boolean {
    if (!this.live || this.socket === null) return false
    this.socket.send(JSON.stringify({ type: 'shown', conversation }))
    return true
  }

  private connect(): void {
    this.cancelRetry?.()
    this.cancelRetry = null
    const { epoch, seq } = this.mirror
    const socket = this.world.open(epoch === '' ? null : { seq, epoch })
    this.socket = socket
    this.heard = this.world.now()
    socket.onmessage = (message) => {
      if (socket === this.socket) this.receive(String(message.data))
    }
    socket.onclose = (close) => {
      if (socket === this.socket) this.closed(close.code)
    }
  }

  private receive(text: string): void {
    this.heard = this.world.now()
    try {
      const frame = read(text)
      if (frame !== null) this.take(frame)
    } catch (wrong) {
      if (!(wrong instanceof OutOfStep)) throw wrong
      // Never guess: forget everything we cannot trust and ask for a snapshot, with backoff in case it goes on.
      this.mirror = { ...EMPTY, entities: this.mirror.entities }
      this.discard()
      this.closed(1002)
    }
  }

  private take(frame: Frame): void {
    const before = this.mirror
    this.mirror = apply(before, frame)
    if (!this.live) {
      this.live = true
      this.attempt = 0
      this.lostAt = null
      this.hooks.link({ state: 'live' })
    }
    if (this.mirror !== before) this.hooks.changed(this.mirror)
  }

  private closed(code: number): void {
    const wasLive = this.live
    this.discard()
    if (code === TOO_MANY) {
      this.hooks.link({ state: 'parked' })
      return
    }
    this.lost()
    // A socket that never opened may have been refused with 401.
    if (!wasLive || code === SESSION_ENDED) this.hooks.refused()
    this.cancelRetry = this.world.later(backoff(this.attempt, this.world.random()), () => this.connect())
    this.attempt += 1
  }

  private lost(): void {
    this.lostAt ??= this.world.now()
    this.hooks.link({ state: 'lost', since: this.lostAt })
  }

  private discard(): void {
    const socket = this.socket
    this.socket = null
    this.live = false
    if (socket === null) return
    socket.onmessage = null
    socket.onclose = null
    socket.close()
  }

  private tick(): void {
    const now = this.world.now()
    const slept = now - this.ticked > JUMP
    const silent = now - this.heard
    const stuck = this.socket !== null && !this.live && silent > PATIENCE
    this.ticked = now
    if (slept || stuck) this.wake()
    else if (this.live && silent > SILENCE) this.renew()
    this.cancelTick = this.world.later(TICK, () => this.tick())
  }
}

/** The real world: a WebSocket of the page's own origin. */
export function browser(): World {
  return {
    open(since) {
      const url = new URL('/api/v1/stream', location.href)
      url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
      if (since !== null) {
        url.searchParams.set('since', String(since.seq))
        url.searchParams.set('epoch', since.epoch)
      }
      return new WebSocket(url) as Socket
    },
    now: () => Date.now() / 1000,
    random: Math.random,
    later(seconds, run) {
      const timer = setTimeout(run, seconds * 1000)
      return () => clearTimeout(timer)
    },
  }
}
