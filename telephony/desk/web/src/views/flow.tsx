/** For supervisors: the live flow as a picture, where callers are in it, and its versions. */

import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'

import { api } from '../api'
import type { FlowNode, FlowVersion, LiveFlow } from '../contract'
import { nameOf, now } from '../desk'
import { clock, moment } from '../format'
import { DAYS, chosenVersion, confirmLive, flow, goingLive, isLive, keyOf, large, loadFlow, makeLive, publishes, zoom } from '../flow'
import { language, words } from '../i18n'
import { Fold } from './fold'
import { Do, Face, Item } from './items'
import { Key } from './parts'
import { step } from './path'
import { Ask } from './reception-dialogs'

const REFRESH = 5_000

/** Runs at once and then every few seconds, while somebody can see it. */
function whileSeen(run: () => void): () => void {
  run()
  const timer = setInterval(() => document.hidden || run(), REFRESH)
  return () => clearInterval(timer)
}

export function Flow() {
  const text = words.value.flow
  useEffect(() => whileSeen(() => void loadFlow()), [])
  const { live, state } = flow.value
  return (
    <div class="flow">
      <Picture shown={live?.shown ?? ''} />
      {live === null ? (
        <section class="panel fill"><p class={state === 'failed' ? 'wrong' : 'soft'}>{state === 'failed' ? text.failed : words.value.history.loading}</p></section>
      ) : (
        <>
          <Nodes of={live} />
          <Versions of={live} />
        </>
      )}
    </div>
  )
}

/** The next picture is decoded before it takes the place of the one that is seen: nothing flickers. */
function Picture({ shown }: { shown: string }) {
  const text = words.value.flow
  const box = useRef<HTMLDivElement>(null)
  const at = useSignal<number | null>(null)
  const failed = useSignal(false)
  // From the middle on: that is where a call begins.
  useEffect(() => {
    const element = box.current
    if (element !== null && large.value) element.scrollLeft = (element.scrollWidth - element.clientWidth) / 2
  }, [large.value])
  useEffect(() => {
    let gone = false
    const stop = whileSeen(() => {
      const next = new Image()
      next.alt = text.alt
      next.src = api.drawing(DAYS, Date.now())
      next.decode().then(
        () => {
          if (gone) return
          box.current?.replaceChildren(next)
          at.value = now.peek()
          failed.value = false
        },
        () => (failed.value = true),
      )
    })
    return () => {
      gone = true
      stop()
    }
  }, [text])
  return (
    <section class="panel fill flow-picture" aria-labelledby="flow-title">
      <h2 id="flow-title">
        {text.heading} <span class="tag">{shown}</span>
        <span class="push" />
        <Do action="zoom" go={zoom}>{large.value ? text.whole : text.large}</Do>
        <span class={failed.value ? 'as-of is-bad' : 'as-of'}>{at.value === null ? '' : `${failed.value ? text.stale : ''} ${words.value.card.fetched} ${clock(at.value, language.value)}`}</span>
      </h2>
      <div ref={box} id="picture" class={large.value ? 'picture is-large' : 'picture'} tabIndex={0} role="group" aria-labelledby="flow-title" />
    </section>
  )
}

function Nodes({ of }: { of: LiveFlow }) {
  const text = words.value.flow
  const seen = of.nodes.filter((node) => node.here > 0 || node.passed > 0 || node.gave_up > 0)
  const here = of.nodes.reduce((sum, node) => sum + node.here, 0)
  const lost = of.nodes.reduce((sum, node) => sum + node.gave_up, 0)
  return (
    <section class="panel fill" aria-labelledby="nodes-title">
      <h2 id="nodes-title">{text.nodes} <span class="soft">{text.sums(here, lost, DAYS)}</span></h2>
      {seen.length === 0 ? <p class="soft">{text.nobody}</p> : (
        <Fold rows="tbody tr" label="nodes-title">
          <table class="rows nodes">
            <colgroup><col /><col class="col-figure" /><col class="col-figure" /><col class="col-lost" /></colgroup>
            <thead>
              <tr>
                <th scope="col">{text.node}</th><th scope="col" class="number">{text.here}</th><th scope="col" class="number">{text.passed}</th>
                <th scope="col" class="number">{text.gaveUp}</th>
              </tr>
            </thead>
            <tbody>{seen.map((node) => <NodeRow key={node.node} node={node} />)}</tbody>
          </table>
        </Fold>
      )}
    </section>
  )
}

function NodeRow({ node }: { node: FlowNode }) {
  const share = node.passed > 0 ? Math.round((100 * node.gave_up) / node.passed) : 0
  return (
    <tr>
      <th scope="row">{step(node.node)}<span class="cell-more">{node.node}</span></th>
      <td class={node.here > 0 ? 'number is-here' : 'number'}>{node.here || '–'}</td>
      <td class="number">{node.passed}</td>
      <td class="number">
        {node.gave_up === 0 ? '–' : node.gave_up}
        {node.gave_up > 0 && (
          <span class="cell-more">{share} %</span>
        )}
      </td>
    </tr>
  )
}

function Versions({ of }: { of: LiveFlow }) {
  const text = words.value.flow
  return (
    <section class="panel fill" aria-labelledby="versions-title">
      <h2 id="versions-title">
        {text.versions}
        {publishes.value && of.versions.length > 1 && <span class="soft"><Key of="ArrowUp" /> <Key of="ArrowDown" /> {words.value.reception.choose}</span>}
      </h2>
      {of.versions.length === 0 ? <p class="soft">{text.noVersions}</p> : (
        <Fold rows="li" label="versions-title">
          <ul class="items">{of.versions.map((version) => <Version key={keyOf(version)} version={version} />)}</ul>
        </Fold>
      )}
    </section>
  )
}

function Version({ version }: { version: FlowVersion }) {
  const text = words.value.flow
  const key = keyOf(version)
  const more = [version.published_by && nameOf(version.published_by), ...version.aliases.filter((alias) => alias !== 'live')]
  const face = (
    <Face
      main={<>{version.flow} {version.version} {isLive(version) && <span class="live-tag">{text.live}</span>}</>}
      side={moment(version.published_at, now.value, language.value)}
    >
      {more.filter(Boolean).join(' · ') || '–'}
    </Face>
  )
  if (!publishes.value) return <li class="item"><div class="item-face">{face}</div></li>
  return (
    <Item id={key} mine={chosenVersion.value === key} pick={() => (chosenVersion.value = key)} face={face}>
      {!isLive(version) && <div class="item-do"><Do action="make-live" go={makeLive}>{text.makeLive}</Do></div>}
    </Item>
  )
}

export function GoLive() {
  const text = words.value.flow
  const what = goingLive.value
  if (what === null) return null
  return (
    <Ask title={text.liveHeading(what.flow, what.version)} send={text.makeLive} grave onSend={confirmLive}>
      <p>{text.liveText}</p>
    </Ask>
  )
}
