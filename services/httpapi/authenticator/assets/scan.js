// Reading a QR code with the camera: the browser's own reader where it has one, else a small library
// that is loaded then and not before.

const every = 150; // ms between looks
const longestSide = 800; // pixels that the library looks at

/** Refused says that there is no camera to use: "refused" by the person or the site's settings, or "missing". */
export class Refused extends Error {}

/** scan shows the camera in a video element until `found` returns true for a text, or `signal` ends it. */
export async function scan(video, found, signal) {
  const read = await reader();
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  } catch (cause) {
    throw new Refused(["NotFoundError", "OverconstrainedError"].includes(cause.name) ? "missing" : "refused", { cause });
  }
  const stop = () => {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
  if (signal.aborted) return stop();
  signal.addEventListener("abort", stop, { once: true });
  video.srcObject = stream;
  try {
    await video.play().catch((cause) => { throw new Refused("refused", { cause }); });
    while (!signal.aborted) {
      const text = video.videoWidth > 0 ? await read(video) : undefined;
      if (text && !signal.aborted && found(text)) return;
      await new Promise((resolve) => { setTimeout(resolve, every); });
    }
  } finally {
    stop();
  }
}

async function reader() {
  if (!navigator.mediaDevices?.getUserMedia) throw new Refused("missing");
  return (await native()) ?? library();
}

let broken = false; // the browser's own reader: some have one that reads nothing

async function native() {
  try {
    if (broken || !(await BarcodeDetector.getSupportedFormats()).includes("qr_code")) return undefined;
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    let read = async (video) => {
      try {
        return (await detector.detect(video))[0]?.rawValue;
      } catch {
        broken = true;
        read = await library();
        return read(video);
      }
    };
    return (video) => read(video);
  } catch {
    return undefined;
  }
}

/** library reads frames with the vendored decoder. */
async function library() {
  const { decodeQR } = await import("./vendor/qr-0.7.0/decode.js");
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return async (source) => {
    const width = source.videoWidth || source.width, height = source.videoHeight || source.height;
    const scale = Math.min(1, longestSide / Math.max(width, height));
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    context.drawImage(source, 0, 0, canvas.width, canvas.height);
    try {
      return decodeQR(context.getImageData(0, 0, canvas.width, canvas.height));
    } catch {
      return undefined; // there is no code in this frame
    }
  };
}
