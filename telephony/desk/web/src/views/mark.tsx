/** The name of the house. */
export function Mark() {
  return (
    <span class="mark">
      <svg width="26" height="26" viewBox="0 0 26 26" aria-hidden="true" focusable="false">
        <rect class="mark-floor" x="2" y="20" width="22" height="3" rx="1.5" />
        <path class="mark-arc" d="M5 17a8 8 0 0116 0" />
        <circle class="mark-dot" cx="13" cy="15.5" r="2.5" />
      </svg>
      <span class="mark-name">Callfloor</span>
    </span>
  )
}
