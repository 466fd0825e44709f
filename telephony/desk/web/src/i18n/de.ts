import type { Certainty, Level, Presence } from '../contract'

const count = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`

const presence: Record<Presence, string> = {
  offline: 'Offline',
  ready: 'Bereit',
  ringing: 'Es klingelt',
  talking: 'Im Gespräch',
  after_call_work: 'Nacharbeit',
  paused: 'Pause',
}

const certainty: Record<Certainty, { short: string; long: string }> = {
  certain: { short: 'Sicher erkannt', long: 'Die Person hat sich ausgewiesen oder wurde eindeutig zugeordnet.' },
  likely: { short: 'Wahrscheinlich', long: 'Die Nummer passt. Bitte im Gespräch bestätigen lassen.' },
  shared: { short: 'Mehrere möglich – bitte wählen', long: 'Diese Nummer haben mehrere Kunden. Noch ist keine Akte geöffnet.' },
  none: { short: 'Unbekannt', long: 'Zu dieser Nummer gibt es keinen Kunden.' },
  withheld: { short: 'Nummer unterdrückt', long: 'Keine Nummer übermittelt. Bitte nach Name und Kundennummer fragen.' },
}

/** Reasons of a match by their stable codes. */
const reason: Record<string, string> = {
  number_unique: 'Die Nummer gehört genau einem Kunden.',
  number_shared: 'Die Nummer gehört mehreren Kunden.',
  number_unknown: 'Die Nummer steht bei keinem Kunden.',
  number_withheld: 'Es wurde keine Nummer übermittelt.',
  number_invalid: 'Was übermittelt wurde, ist keine Rufnummer.',
  customer_number: 'Die Kundennummer wurde in der Ansage eingegeben.',
  customer_number_and_pin: 'Kundennummer und PIN wurden in der Ansage eingegeben.',
  chosen_by_agent: 'Von Ihnen ausgewählt.',
  looking_up: 'Das CRM wird gefragt.',
  customer_number_unknown: 'Die eingegebene Kundennummer gibt es nicht.',
  crm_unavailable: 'Das CRM antwortet nicht. Wird nachgetragen.',
  loose_number: 'Die Nummer kam ohne Ländervorwahl an; so passt sie zu genau einem Kunden.',
}

const state: Record<string, string> = {
  open: 'offen', new: 'neu', draft: 'Entwurf', confirmed: 'bestätigt', processing: 'in Arbeit', in_progress: 'in Arbeit', packed: 'gepackt',
  shipped: 'versandt', in_transit: 'unterwegs', delivered: 'zugestellt', returned: 'zurückgeschickt',
  cancelled: 'storniert', lost: 'verschollen', backorder: 'im Rückstand', partial: 'teilbezahlt', paid: 'bezahlt',
  void: 'storniert', overdue: 'überfällig',
}

const activity: Record<string, string> = {
  call: 'Anruf', mail: 'E-Mail', email: 'E-Mail', note: 'Notiz', return: 'Rücksendung', order: 'Bestellung', letter: 'Brief',
}

const crm: Record<string, string> = { waiting: 'wartet', delivered: 'übertragen', dead: 'gescheitert' }

/** The nodes of the shipped flows and of the demo's, in plain words. */
const step: Record<string, string> = {
  greeting: 'Begrüßung', recognise: 'Nummer geprüft', language: 'Sprache gewählt', privacy: 'Datenschutz gehört', privacy_number: 'Datenschutz gehört',
  customer_number: 'nach Kundennummer gefragt', thanks: 'Kundennummer erkannt', to_service_anyway: 'ohne gültige Kundennummer', to_service: 'zum Kundenservice', line: 'gewählte Rufnummer', to_orders: 'zur Bestellannahme',
  open: 'Öffnungszeiten geprüft', closed: 'außerhalb der Zeiten', holiday: 'Feiertag', emergency: 'Notschließung', closed_menu: 'Wahl bei geschlossenem Haus', closed_message: 'Nachricht hinterlassen',
  main: 'Hauptmenü', parcel_who: 'Paket: wer ruft an', parcel: 'Paket gesucht', parcel_tell: 'Paket angesagt', parcel_late: 'Paket unterwegs?', parcel_missing: 'Paket vermisst?', parcel_trace: 'Nachforschung gestellt', parcel_traced: 'Nachforschung angesagt',
  invoice_who: 'Rechnung: wer ruft an', invoice: 'Rechnung gesucht', invoice_tell: 'Rechnung angesagt', invoice_none: 'keine Rechnung offen',
  goods_who: 'Ware: wer ruft an', goods: 'Rücksendung oder Reklamation', return_order: 'nach Bestellnummer gefragt', return_find: 'Bestellung gesucht', return_file: 'Rücksendung notiert', complaint: 'Reklamation gesprochen', complaint_file: 'Reklamation notiert', filed: 'Vorgangsnummer angesagt',
  bank_who: 'Bankverbindung: Kundennummer und PIN', bank_locked: 'PIN gesperrt', bank_iban: 'IBAN eingegeben', bank_confirm: 'IBAN bestätigt', bank_file: 'Bankverbindung notiert',
  requests_who: 'Anliegen: wer ruft an', requests: 'Anliegen gesucht', requests_tell: 'Stand des Anliegens angesagt',
  greeting_whom: 'Gruß: an wen', greeting_leave: 'Gruß gesprochen', greeting_unknown: 'Durchwahl unbekannt', greeting_team: 'Gruß ans Team gesprochen', message_kept: 'Nachricht bestätigt',
  nothing_found: 'nichts gefunden', sorry: 'Auskunft nicht möglich', more: 'noch etwas?', waiting: 'Wartezeit geprüft', long_wait: 'lange Wartezeit', wait_or_call_back: 'warten oder Rückruf',
  call_back: 'Rückruf verlangt', call_back_number: 'nach Rückrufnummer gefragt', call_back_there: 'Rückruf an andere Nummer', call_back_promised: 'Rückruf zugesagt', call_back_already: 'Rückruf schon zugesagt',
  importance: 'Dringlichkeit bestimmt', nobody: 'niemand da', reception: 'zur Zentrale', bye: 'Verabschiedung',
  known: 'schon erkannt?', number: 'nach Kundennummer gefragt', unknown: 'Kundennummer unbekannt', person: 'zu einer Person', done: 'erkannt', message: 'Nachricht gesprochen',
}

/** A wish that is kept until the call, or its wrap-up, is done. */
const afterwards = { paused: 'Pause nach diesem Gespräch', offline: 'Offline nach diesem Gespräch', wrapped: 'Pause nach der Nacharbeit' }

/** What a caller has proven. */
const level: Record<Level, string> = { none: 'Nichts bewiesen', number: 'Bewiesen: Kundennummer', pin: 'Bewiesen: Kundennummer und PIN' }

export const de = {
  presence, afterwards, certainty, reason, state, activity, crm, step, level,
  title: 'Callfloor',
  
  logIn: {
    heading: 'Anmelden', login: 'Anmeldename', password: 'Kennwort', submit: 'Anmelden', busy: 'Wird angemeldet …',
    ended: 'Ihre Sitzung ist beendet. Bitte neu anmelden.', empty: 'Bitte Anmeldename und Kennwort eingeben.',
  },
  link: {
    connecting: 'Verbindung wird aufgebaut …', lost: 'Verbindung unterbrochen',
    stale: 'Was Sie sehen, kann veraltet sein. Es wird weiter versucht; Notizen bleiben erhalten.',
    back: 'Verbindung wieder da', parked: 'Diese Seite ist noch in zu vielen anderen Fenstern offen; hier kommt nichts mehr an.', here: 'Hier weiterarbeiten', 
  },
  skip: 'Zum Anruf springen',
  bar: {
    presence: 'Ihr Zustand', queues: 'Warteschlangen', lamps: 'Anlage', views: 'Ansichten',
    waiting: (n: number) => `${n} wartend`,
    language: 'English', help: 'Tasten', logOut: 'Sitzung beenden', ready: 'Bereit', pause: 'Pause', offline: 'Offline', 
    call: 'Anruf', history: 'Verlauf', team: 'Team', outbox: 'CRM-Ausgang', reception: 'Empfang', flow: 'Ablauf',
  },
  lamp: {
    pbx: { in_sync: 'Telefonanlage verbunden', syncing: 'Telefonanlage wird abgeglichen', down: 'Telefonanlage nicht erreichbar' },
    crm: { up: 'CRM erreichbar', down: 'CRM antwortet nicht' },
    outbox: (waiting: number, dead: number) =>
      dead > 0 ? `${count(dead, 'Eintrag', 'Einträge')} nicht ins CRM übertragen` : waiting > 0 ? `${count(waiting, 'Eintrag wartet', 'Einträge warten')} aufs CRM` : 'Alles im CRM',
    short: { pbx: 'Anlage', crm: 'CRM', outbox: 'Ausgang' },
  },
  idle: {
    ready: 'Bereit für den nächsten Anruf', paused: 'Sie sind in Pause', offline: 'Sie nehmen keine Anrufe an', other: 'Kein Anruf auf dem Schirm',
    readyText: 'Er erscheint hier, sobald Ihr Telefon klingelt.', pausedText: 'Mit F2 sind Sie wieder bereit.',
    offlineText: 'Mit F2 nehmen Sie Anrufe Ihrer Warteschlangen an.',
    noPhone: 'Diesem Zugang fehlt ein Telefon', noPhoneText: 'Teamleitung oder Administration können eines zuordnen.',
    queues: 'Ihre Warteschlangen', queue: 'Warteschlange', waiting: 'Wartend', longest: 'Längste', free: 'Bereit', talking: 'Sprechen',
    keys: 'Wichtige Tasten', noQueues: 'Sie sind keiner Warteschlange zugeordnet.',
  },
  pop: {
    ringing: 'Es klingelt', talking: 'Im Gespräch', held: 'Gehalten', wrap_up: 'Nacharbeit', calls: 'Anrufe',
    queue: 'Warteschlange', waited: 'Wartezeit', talked: 'Gesprächszeit', language: 'Sprache', path: 'Weg durch die Ansage', more: (n: number) => `${n} weitere`, wholePath: 'Der ganze Weg durch die Ansage',
    noPath: 'ohne Ansage', networkName: 'Netzname', number: 'Rufnummer', customer: 'Kunde', unknown: 'Unbekannt',
    seeking: 'Wird nachgeschlagen …', unanswered: 'Noch nicht erkannt', seekingLong: 'Das CRM wird gefragt.', 
    choose: 'Wer ruft an?', chooseHint: 'Mit der Zahlentaste wählen. Vorher öffnet sich keine Akte.', again: 'Andere Person wählen',
    choosing: 'Akte wird geöffnet …', 
    de: 'Deutsch', en: 'Englisch',
    announce: (who: string, how: string, queue: string, waited: string) => `Anruf. ${who}. ${how}. Warteschlange ${queue}. Wartet seit ${waited}.`,
    gone: 'Der Anruf ist nicht mehr da.', talkingTo: (who: string) => `Im Gespräch mit ${who}.`, 
    wrapUpFor: (who: string) => `Gespräch beendet. Nacharbeit zu ${who}.`,
  },
  card: {
    heading: 'Kundenkarte', number: 'Kundennummer', company: 'Firma', email: 'E-Mail', phones: 'Telefon', blocked: 'Konto gesperrt',
    orders: 'Bestellungen', invoices: 'Rechnungen', activities: 'Letzte Kontakte', noOrders: 'Keine offene Bestellung',
    noInvoices: 'Keine offene Rechnung', noActivities: 'Noch kein Kontakt', loading: 'Karte wird geladen', failed: 'Das CRM antwortet nicht.',
    failedText: 'Die Karte wird nachgetragen, sobald es wieder da ist. Sie können das Gespräch führen.',
    none: 'Keine Kundenkarte', noneShared: 'Erst wählen, wer anruft: dann öffnet sich die Karte.',
    noneUnknown: 'Zu diesem Anruf ist kein Kunde bekannt.', due: 'fällig', overdue: 'überfällig', of: 'von', tracking: 'Sendung',
    fetched: 'Stand', 
  },
  wrap: {
    heading: 'Nacharbeit', notes: 'Notiz', code: 'Ergebnis des Gesprächs', required: 'Pflicht', optional: 'freiwillig',
    noteHint: 'Wird laufend gespeichert und mit dem Ergebnis ins CRM geschrieben.', finish: 'Abschließen', finishing: 'Wird gespeichert …',
    saved: 'Notiz gespeichert', saving: 'wird gespeichert …', unsaved: 'Notiz noch nicht gespeichert – wird wieder versucht',
    pickFirst: 'Bitte zuerst ein Ergebnis wählen.', failed: 'Nicht gespeichert.', deadline: 'noch', 
    expired: 'Die Zeit für die Nacharbeit war um. Diese Notiz wurde als Entwurf gespeichert.', skip: 'Ohne Ergebnis bereit', later: 'Das Ergebnis wählen Sie nach dem Gespräch.',
    done: (code: string) => `Abgeschlossen: ${code}`, discard: 'Verstanden', none: 'Für diese Warteschlange ist kein Ergebnis nötig.',
    left: (n: number) => `noch ${n} Zeichen`, other: 'Ergebnis ändern', otherHint: 'Umschalt und Tab führen zurück zum Ergebnis.',
    missing: 'Die Ergebnisse dieser Warteschlange sind nicht bekannt.',
  },
  history: {
    heading: 'Meine Gespräche', headingAll: 'Gespräche', time: 'Zeit', caller: 'Anrufer', queue: 'Warteschlange', talked: 'Dauer', code: 'Ergebnis', agent: 'Agent',
    note: 'Notiz', crm: 'CRM', empty: 'Noch keine Gespräche.', failed: 'Der Verlauf konnte nicht geladen werden.', again: 'Noch einmal', missed: 'entgangen', live: 'läuft', loading: 'Wird geladen …',
  },
  pause: { heading: 'Warum Pause?', hint: 'Zahlentaste wählt, Esc bricht ab.', none: 'Keine Gründe eingerichtet.', plain: 'Ohne Grund' },
  team: {
    heading: 'Team', agents: 'Agenten', name: 'Name', state: 'Zustand', since: 'Seit', talksTo: 'Im Gespräch mit', queues: 'Warteschlangen', waiting: 'Wartende Anrufer',
    caller: 'Anrufer', waitingSince: 'Wartet', nobody: 'Niemand wartet.', empty: 'Niemand hat ein Telefon.',
  },
  request: {
    heading: 'Anliegen', none: 'Keine Anliegen', failed: 'Nicht geladen.',
    decide: 'Entscheiden', since: (when: string) => `seit ${when}`,
    kinds: { bank_details: 'Bankverbindung', return: 'Rücksendung', complaint: 'Reklamation' },
    states: { pending: 'offen', approved: 'genehmigt', rejected: 'abgelehnt' },
    fields: { iban: 'IBAN', order: 'Bestellung', holder: 'Kontoinhaber', reason: 'Grund' }, yes: 'ja', no: 'nein',
    decideHeading: 'Anliegen entscheiden', customer: 'Kunde', filed: 'Seit', filedWith: 'Beim Eingang', note: 'Notiz (freiwillig)',
    approve: 'Genehmigen', reject: 'Ablehnen', cancel: 'Abbrechen', vouch: 'Ich habe die Identität geprüft', nth: (n: number, of: number) => `${n} von ${of}`,
    locked: 'Gesperrt.', unlocked: 'Freigegeben: Sie bürgen für die Person.', vouchFirst: 'Gesperrt: Bitte zuerst die Identität prüfen und mit 3 bestätigen.',
    lockedNow: { none: 'In diesem Anruf ist nichts bewiesen. Über eine Bankverbindung darf nur mit Kundennummer und PIN entschieden werden.', number: 'In diesem Anruf ist nur die Kundennummer bewiesen. Über eine Bankverbindung darf nur mit Kundennummer und PIN entschieden werden.', pin: '' },
    lockedThen: { none: 'Beim Eingang war nichts bewiesen. Über eine Bankverbindung darf nur mit Kundennummer und PIN entschieden werden.', number: 'Beim Eingang war nur die Kundennummer bewiesen. Über eine Bankverbindung darf nur mit Kundennummer und PIN entschieden werden.', pin: '' },
    decided: { approved: (reference: string) => `Anliegen ${reference} genehmigt.`, rejected: (reference: string) => `Anliegen ${reference} abgelehnt.` },
  },
  reception: {
    heading: 'Empfang', messages: 'Nachrichten', requests: 'Anliegen aller Kunden', callbacks: 'Rückrufe', choose: 'wählen',
    noMessages: 'Keine Nachrichten.', noRequests: 'Nichts wartet auf eine Entscheidung.', noCallbacks: 'Kein Rückruf ist zugesagt.', failed: 'Der Empfang konnte nicht geladen werden. Es wird weiter versucht.',
    kinds: { greeting: 'Gruß', complaint: 'Reklamation', message: 'Nachricht' } as Record<string, string>, forYou: 'für Sie',
    play: 'Abspielen', stop: 'Anhalten', playing: 'Abgespielt', heard: 'Erledigt', heardSaid: 'Nachricht erledigt.', heardBy: (who: string, when: string) => `erledigt ${when}, ${who}`, notPlayed: 'Diese Nachricht lässt sich nicht abspielen.',
    withdraw: 'Zurückziehen', withdrawHeading: 'Rückruf zurückziehen?', withdrawText: (who: string, queue: string) => `${who} wird dann nicht mehr angerufen (${queue}).`, withdrawnSaid: 'Rückruf zurückgezogen.',
    calling: 'wird gerade angerufen', again: (n: number, when: string) => `${n}-mal versucht, wieder ${when}`, until: (when: string) => `gilt bis ${when}`,
    promise: 'Rückruf zusagen', promiseSend: 'Zusagen', number: 'Rufnummer', promiseHint: 'Der Platz in der Warteschlange wird gehalten.', promiseEmpty: 'Bitte Rufnummer und Warteschlange angeben.', promisedSaid: 'Rückruf zugesagt.', promisedAlready: 'Dieser Nummer ist schon ein Rückruf zugesagt.',
    nMessages: (n: number) => count(n, 'neue Nachricht', 'neue Nachrichten'), nRequests: (n: number) => count(n, 'offenes Anliegen', 'offene Anliegen'), nCallbacks: (n: number) => count(n, 'Rückruf zugesagt', 'Rückrufe zugesagt'),
  },
  closure: {
    banner: 'Das Haus ist geschlossen: Anrufer hören die Notansage.', quoted: (reason: string) => `„${reason}“ –`, who: (who: string, when: string) => `${who}, seit ${when}`, over: 'Das Haus ist wieder geöffnet.',
    close: 'Haus schließen', reopen: 'Wieder öffnen', closeHeading: 'Haus sofort schließen?', reopenHeading: 'Haus wieder öffnen?', reason: 'Grund, für alle sichtbar (freiwillig)',
    closeText: 'Alle neuen Anrufer hören sofort die Notansage und werden nicht verbunden. Laufende Gespräche gehen weiter.', reopenText: 'Neue Anrufer werden wieder wie zu den Öffnungszeiten behandelt.',
    closedSaid: 'Das Haus ist geschlossen.', reopenedSaid: 'Das Haus ist wieder geöffnet.',
  },
  flow: {
    heading: 'Ablauf', alt: 'Der laufende Ablauf als Bild. Die Zahlen stehen in der Tabelle daneben.', failed: 'Der Ablauf konnte nicht geladen werden.', stale: 'Nicht erneuert.', large: 'Groß', whole: 'Ganz',
    nodes: 'Anrufer im Ablauf', sums: (here: number, lost: number, days: number) => `${here} jetzt · ${lost} aufgelegt in ${days} Tagen`, nobody: 'Noch ist niemand durch diesen Ablauf gegangen.',
    node: 'Schritt', here: 'Jetzt', passed: 'Vorbei', gaveUp: 'Aufgelegt', versions: 'Versionen', noVersions: 'Noch ist nichts veröffentlicht; es läuft der Ablauf aus den Einstellungen.', live: 'läuft',
    makeLive: 'Zur laufenden machen', liveHeading: (flow: string, version: number) => `${flow} ${version} zur laufenden Version machen?`, liveText: 'Neue Anrufer gehen dann durch diese Version. Wer schon im Ablauf ist, bleibt in seiner.',
    liveSaid: (flow: string, version: number) => `${flow} ${version} wird in Kürze zur laufenden Version.`,
  },
  outbox: { heading: 'CRM-Ausgang', what: 'Vom', agent: 'Agent', code: 'Ergebnis', state: 'Zustand', tries: 'Versuche', why: 'Letzter Fehler', next: 'Nächster Versuch', retry: 'Jetzt senden', empty: 'Alles ist im CRM.', failed: 'Der Ausgang konnte nicht geladen werden.', retried: 'Wird noch einmal gesendet.', loading: 'Wird geladen …' },
  help: {
    heading: 'Tasten', close: 'Schließen', single: 'Einzeltasten', singleOn: 'Einzeltasten sind an: Buchstaben und Zahlen wirken, solange kein Textfeld den Fokus hat.',
    singleOff: 'Einzeltasten sind aus. Es wirken nur F-Tasten, Strg+Eingabe und Esc.', turnOff: 'Ausschalten', turnOn: 'Einschalten',
    groups: { presence: 'Zustand', call: 'Anruf und Nacharbeit', reception: 'Empfang', pages: 'Seiten' },
    actions: {
      ready: 'Bereit', pause: 'Pause – Grund mit Zahl', offline: 'Offline gehen', 'next-call': 'Zum nächsten Anruf', candidates: 'Zahlen wählen, wer anruft',
      note: 'In die Notiz', codes: 'Zahlen wählen das Ergebnis, dann folgt die Notiz', finish: 'Nacharbeit abschließen', 'view-call': 'Anruf', 'view-history': 'Verlauf', 'view-team': 'Team',
      'view-outbox': 'CRM-Ausgang', 'view-reception': 'Empfang', 'view-flow': 'Ablauf', 'row-next': 'Nächste Zeile (Pfeil hoch: vorige)', 'list-next': 'Nächste Liste (Pfeil links: vorige)', decide: 'Anliegen entscheiden, auch auf der Karte', play: 'Nachricht abspielen, anhalten', heard: 'Nachricht ist erledigt',
      promise: 'Rückruf zusagen', withdraw: 'Rückruf zurückziehen', closure: 'Haus schließen oder öffnen', 'make-live': 'Version zur laufenden machen', zoom: 'Ablauf groß oder ganz', help: 'Diese Tastenliste', close: 'Schließen, Textfeld verlassen', language: 'Deutsch / Englisch', 'log-out': 'Sitzung beenden', 'other-code': 'Von der Notiz zurück zum Ergebnis', digits: 'Aus der nummerierten Liste wählen',
    },
  },
  fold: (n: number) => `${n} weitere`,
  key: { Enter: 'Eingabe', Escape: 'Esc', Ctrl: 'Strg', Shift: 'Umschalt', ArrowUp: '↑', ArrowDown: '↓', ArrowLeft: '←', ArrowRight: '→' } as Record<string, string>,
  problem: { offline: 'Der Server antwortet nicht. Bitte noch einmal versuchen.', other: (status: number) => `Das hat nicht geklappt (Fehler ${status}).`, dismiss: 'Schließen', log: 'Meldungen' },
}

export type Words = typeof de
