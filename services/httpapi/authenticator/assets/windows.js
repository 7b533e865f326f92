// Windows of this browser that are open side by side keep the same accounts and settings: what one of them changes, the
// others take over.

import * as accounts from "./accounts.js";

// What views show of what is kept, and do not read anew by themselves.
function shown({ accounts: all, settings }) {
  return JSON.stringify([
    all.map(({ id, createdAt, label, removed, copied }) => [id, createdAt, label, removed, copied]),
    settings.language, settings.hideCodes, settings.unlock,
  ]);
}

/**
 * takeOver makes the page's accounts and settings what is kept by now, and tells whether views have something else to show.
 * An account that was joined anew is another one: what was asked with its key from before ends with that key.
 */
export async function takeOver(app) {
  const { accounts: all, settings } = await accounts.all();
  const before = shown(app);
  const known = app.accounts;
  app.accounts = all.map((fresh) => {
    const same = known.find((one) => accounts.same(one, fresh));
    return same ? Object.assign(same, fresh) : fresh;
  });
  app.settings = settings;
  for (const account of known) if (!app.accounts.includes(account)) app.requests.drop(account);
  return shown(app) !== before;
}
