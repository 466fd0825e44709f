import type { ComponentChildren } from 'preact'

import { dialog, office, queueLabel, queues } from '../desk'
import { language, words } from '../i18n'
import { busy, closureReason, confirmClosure, confirmWithdrawal, keepPromise, promised, withdrawing, wrong } from '../reception'
import { Hint, Modal, shortcuts } from './parts'

const close = () => {
  dialog.value = null
}

/** A question with one answer that does something. `grave`: it is felt by every caller. */
export function Ask(props: { title: string; send: string; grave?: boolean; onSend: () => void; children: ComponentChildren }) {
  const { title, send, grave = false, onSend, children } = props
  return (
    <Modal label={title} onClose={close}>
      <form
        class="ask"
        onSubmit={(event) => {
          event.preventDefault()
          onSend()
        }}
      >
        <h2 tabIndex={-1}>{title}</h2>
        {children}
        <p class="wrong" role="alert">{wrong.value}</p>
        <div class="modal-end">
          <button type="submit" class={grave ? 'button main grave' : 'button main'} aria-disabled={busy.value} aria-keyshortcuts={shortcuts('finish')}>{send} <Hint action="finish" /></button>
          <span class="push" />
          <button type="button" class="button quiet" onClick={close}>{words.value.request.cancel} <Hint action="close" /></button>
        </div>
      </form>
    </Modal>
  )
}

export function PromiseCallBack() {
  const text = words.value.reception
  const { number, queue } = promised.value
  const names = Object.keys(queues.value).sort((a, b) => queueLabel(a).localeCompare(queueLabel(b), language.value))
  return (
    <Ask title={text.promise} send={text.promiseSend} onSend={keepPromise}>
      <label class="ask-field">
        <span>{text.number}</span>
        <input
          type="tel" autoFocus maxLength={40} value={number} autocomplete="off"
          onInput={(event) => (promised.value = { ...promised.peek(), number: event.currentTarget.value })}
        />
      </label>
      <label class="ask-field">
        <span>{words.value.pop.queue}</span>
        <select value={queue} onChange={(event) => (promised.value = { ...promised.peek(), queue: event.currentTarget.value })}>
          {queue === '' && <option value="">–</option>}
          {names.map((name) => <option key={name} value={name}>{queueLabel(name)}</option>)}
        </select>
      </label>
      <p class="soft">{text.promiseHint}</p>
    </Ask>
  )
}

export function Withdraw() {
  const text = words.value.reception
  const what = withdrawing.value
  if (what === null) return null
  return (
    <Ask title={text.withdrawHeading} send={text.withdraw} onSend={confirmWithdrawal}>
      <p>{text.withdrawText([what.customer_name, what.number_display].filter(Boolean).join(', '), queueLabel(what.queue))}</p>
    </Ask>
  )
}

export function Closure() {
  const text = words.value.closure
  const closed = (office.value?.closed ?? null) !== null
  return (
    <Ask title={closed ? text.reopenHeading : text.closeHeading} send={closed ? text.reopen : text.close} grave={!closed} onSend={confirmClosure}>
      <p>{closed ? text.reopenText : text.closeText}</p>
      {!closed && (
        <label class="ask-field">
          <span>{text.reason}</span>
          <input type="text" autoFocus maxLength={80} value={closureReason.value} onInput={(event) => (closureReason.value = event.currentTarget.value)} />
        </label>
      )}
    </Ask>
  )
}
