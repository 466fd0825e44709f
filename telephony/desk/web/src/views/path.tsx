/** The way the caller took through the menu: where it began and where it led, whole on demand. */

import { useEffect } from 'preact/hooks'

import { pathOpen } from '../desk'
import { words } from '../i18n'
import { readable } from '../requests'

/** As many steps stand in a line at 1280 px; of a longer way the first and the last ones are shown. */
const WHOLE = 5
const LAST = 3

/** A flow's node as words; of one inside another flow (`parcel_who.number`) the last part says what happened. */
export const step = (id: string): string => {
  const known = words.value.step
  const last = id.slice(id.lastIndexOf('.') + 1)
  return [id, last].map((one) => (Object.hasOwn(known, one) ? known[one]! : '')).find(Boolean) ?? readable(id)
}

export function Path({ of }: { of: string[] }) {
  const steps = of.map(step)
  if (steps.length === 0) return <>{words.value.pop.noPath}</>
  return steps.length <= WHOLE ? <Steps of={steps} /> : <LongPath steps={steps} />
}

function LongPath({ steps }: { steps: string[] }) {
  const text = words.value.pop
  const middle = steps.slice(1, -LAST)
  const more = text.more(middle.length)
  const open = () => (pathOpen.value = true)
  const close = () => void (pathOpen.value = false)
  // A call that goes away under the pointer leaves nothing open for the next one.
  useEffect(() => close, [])
  return (
    <div class="path-box" onMouseEnter={open} onMouseLeave={close}>
      <ol class="path">
        <li>{steps[0]}</li>
        <li>
          <button
            type="button" class="path-more" aria-expanded={pathOpen.value} aria-label={`${more}: ${middle.join(', ')}`}
            onFocus={open} onBlur={close} onClick={open}
          >
            {more}
          </button>
        </li>
        {steps.slice(-LAST).map((one, index) => <li key={index}>{one}</li>)}
      </ol>
      {pathOpen.value && (
        <div class="path-whole panel" role="group" aria-label={text.wholePath}>
          <Steps of={steps} />
        </div>
      )}
    </div>
  )
}

const Steps = ({ of }: { of: string[] }) => <ol class="path">{of.map((one, index) => <li key={index}>{one}</li>)}</ol>
