import { render } from 'preact'

import './styles/tokens.css'
import './styles/base.css'
import './styles/log-in.css'
import './styles/bar.css'
import './styles/call.css'
import './styles/wrap.css'
import './styles/idle.css'
import './styles/reception.css'
import './styles/over.css'
import './styles/narrow.css'
import { listen } from './actions'
import { begin } from './desk'
import { Page } from './views/page'

const root = document.getElementById('app')
if (root === null) throw new Error('index.html has no #app')
listen()
render(<Page />, root)
void begin()
