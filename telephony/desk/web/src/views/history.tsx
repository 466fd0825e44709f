/** The last conversations. */

import { history, loadHistory, nameOf, now, queueLabel, queues, supervises } from '../desk'
import { duration, isoDuration, label, moment } from '../format'
import { language, words } from '../i18n'
import { Fold } from './fold'

/** The words of a wrap-up code, which belong to its queue. */
function codeLabel(queue: string, code: string): string {
  if (code === '') return '–'
  return label(queues.value[queue]?.codes.find((choice) => choice.code === code)?.label, language.value, code)
}

export function HistoryTable({ most }: { most?: number }) {
  const text = words.value.history
  const { state, items } = history.value
  const rows = most === undefined ? items : items.slice(0, most)
  const all = supervises.value
  return (
    <section class="panel fill" aria-labelledby="history-title" aria-busy={state === 'loading'}>
      <h2 id="history-title">{all ? text.headingAll : text.heading}</h2>
      {state === 'failed' ? (
        <p class="wrong">
          {text.failed}{' '}
          <button type="button" class="button" onClick={() => void loadHistory()}>{text.again}</button>
        </p>
      ) : rows.length === 0 ? (
        <p class="soft">{state === 'loading' ? text.loading : text.empty}</p>
      ) : (
        <Fold rows="tbody tr" label="history-title">
          <table class="rows history">
            <colgroup>
              <col class="col-time" /><col class="col-caller" /><col class="col-queue" /><col class="col-talked" /><col class="col-code" />
              {all && <col class="col-agent" />}
              <col class="col-crm" />
            </colgroup>
            <thead>
              <tr>
                <th scope="col">{text.time}</th><th scope="col">{text.caller}</th><th scope="col" class="in-queue">{text.queue}</th>
                <th scope="col" class="number">{text.talked}</th><th scope="col">{text.code}</th>
                {all && <th scope="col">{text.agent}</th>}
                <th scope="col">{text.crm}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((item) => (
                <tr key={`${item.conversation}/${item.agent}`}>
                  <td class="when">{moment(item.started_at, now.value, language.value)}</td>
                  <td>
                    <span class="cell-main">{item.customer_name || item.number_display || words.value.certainty.withheld.short}</span>
                    {item.customer_name !== '' && item.number_display !== '' && <span class="cell-more">{item.number_display}</span>}
                  </td>
                  <td class="in-queue">{queueLabel(item.queue)}</td>
                  <td class="number">
                    {item.ended_at === null ? text.live : item.answered_at === null ? text.missed : <time dateTime={isoDuration(item.talked)}>{duration(item.talked)}</time>}
                  </td>
                  <td>
                    <span class="cell-main">{codeLabel(item.queue, item.code)}</span>
                    {item.note !== '' && <span class="cell-more cut" title={item.note}>{item.note}</span>}
                  </td>
                  {all && <td>{nameOf(item.agent)}</td>}
                  <td class={item.crm_state === 'dead' ? 'crm is-bad' : 'crm'}>
                    {Object.hasOwn(words.value.crm, item.crm_state) ? words.value.crm[item.crm_state] : item.crm_state || '–'}
                    {item.crm_reference !== '' && <span class="cell-more">{item.crm_reference}</span>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Fold>
      )}
    </section>
  )
}
