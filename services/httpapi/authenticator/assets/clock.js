// The time that counts is the server's: this device's clock may be wrong, and its codes and
// signed times would be as well.

const counts = 2000; // ms; the server tells whole seconds, so less is noise
const told = 30_000; // ms from which a person is told

let offset = 0;
const listeners = new Set();

/** now is the corrected time in milliseconds. */
export const now = () => Date.now() + offset;

/** timestamp is the corrected time as it is signed and sent. */
export const timestamp = () => new Date(now()).toISOString();

/** fault is how far this clock is off, in ms (positive: fast); zero where nobody needs to know. */
export const fault = () => (Math.abs(offset) >= told ? -offset : 0);

export const onChange = (listener) => listeners.add(listener);

/** restore takes up what was measured before. */
export function restore(measured) {
  if (Number.isFinite(measured)) offset = measured;
}

/** heard compares this clock with the Date of an answer that has just come. */
export function heard(date) {
  const server = Date.parse(date ?? "");
  if (Number.isNaN(server)) return;
  const measured = server + 500 - Date.now();
  const corrected = Math.abs(measured) < counts ? 0 : measured;
  if (Math.abs(corrected - offset) < counts) return;
  offset = corrected;
  for (const listener of listeners) listener(offset);
}
