import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'

import { api } from '../api'
import { ended, enter, explain, trouble } from '../desk'
import { language, toggleLanguage, words } from '../i18n'
import { Mark } from './mark'

export function LogIn() {
  const text = words.value.logIn
  const busy = useSignal(false)
  const wrong = useSignal('')
  const name = useRef<HTMLInputElement>(null)
  const password = useRef<HTMLInputElement>(null)
  useEffect(() => name.current?.focus(), [])

  async function submit(event: Event): Promise<void> {
    event.preventDefault()
    if (busy.value || name.current === null || password.current === null) return
    const [login, secret] = [name.current.value.trim(), password.current.value]
    if (login === '' || secret === '') {
      wrong.value = text.empty
      ;(login === '' ? name : password).current?.focus()
      return
    }
    busy.value = true
    wrong.value = ''
    try {
      enter(await api.logIn(login, secret))
    } catch (failure) {
      busy.value = false
      wrong.value = explain(failure)
      password.current.select()
    }
  }

  return (
    <main class="log-in" id="main" tabIndex={-1}>
      <form class="panel" onSubmit={submit} noValidate>
        <Mark />
        <h1>{text.heading}</h1>
        {ended.value && <p class="notice" role="status">{text.ended}</p>}
        <label for="login">{text.login}</label>
        <input
          id="login" ref={name} name="login" type="text" autocomplete="username" autocapitalize="none" spellcheck={false}
          required aria-describedby="log-in-wrong" aria-invalid={wrong.value !== ''} maxLength={64}
        />
        <label for="password">{text.password}</label>
        <input
          id="password" ref={password} name="password" type="password" autocomplete="current-password" required
          aria-describedby="log-in-wrong" aria-invalid={wrong.value !== ''} maxLength={1024}
        />
        <p class="wrong" id="log-in-wrong" role="alert">{wrong.value || trouble.value?.text}</p>
        <button class="button main" type="submit" aria-disabled={busy.value}>
          {busy.value ? text.busy : text.submit}
        </button>
      </form>
      <button class="button quiet" type="button" onClick={toggleLanguage} lang={language.value === 'de' ? 'en' : 'de'}>
        {words.value.bar.language}
      </button>
    </main>
  )
}
