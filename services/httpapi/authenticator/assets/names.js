// What accounts are called.

import { t } from "./words.js";

/** nameOf is what a person calls an account: their own name for it, or who it is with. */
export function nameOf(account) {
  return account.label || account.brand || account.user || t("noBrand");
}

/** fullName tells accounts of one brand apart. */
export function fullName(account) {
  const name = nameOf(account);
  return account.user && account.user !== name ? `${name}, ${account.user}` : name;
}
