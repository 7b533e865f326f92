// The camera on the join page.

import { button, el, fill } from "../dom.js";
import { Refused, scan } from "../scan.js";
import { t } from "../words.js";

/** scanner is the button that opens the camera; `found` gets each text that it reads first, `failed` the key of a sentence. */
export function scanner(found, failed) {
  const node = el("div", { class: "camera" });
  let session;
  const stop = () => {
    session?.abort();
    session = undefined;
    fill(node, open);
  };
  const open = button(t("openCamera"), async () => {
    const own = session = new AbortController();
    const video = el("video", { playsinline: true, "aria-label": t("cameraView") });
    video.muted = true;
    fill(node, video, el("p", { class: "small" }, t("cameraLooking")), button(t("closeCamera"), () => { stop(); open.focus(); }));
    node.querySelector("button").focus();
    try {
      await scan(video, (text) => { stop(); found(text); return true; }, own.signal);
    } catch (problem) {
      if (own.signal.aborted) return;
      stop();
      failed(problem instanceof Refused ? { missing: "cameraMissing", refused: "cameraRefused" }[problem.message] : "cameraReader");
    }
  });
  const hide = () => { if (document.hidden && session) stop(); };
  document.addEventListener("visibilitychange", hide);
  fill(node, open);
  return {
    node,
    stop() {
      stop();
      document.removeEventListener("visibilitychange", hide);
    },
  };
}
