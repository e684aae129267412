/**
 * The classic script, served as `/sdk/countersign.js`: defines the globals `SinchClient`, which pages
 * written for the classic SDK use, and `Countersign`, which holds everything else.
 */
import { setScriptUrl } from "./address.js";
import * as everything from "./public.js";

declare global {
  // Only `var` makes a property of the global object.
  var SinchClient: typeof everything.SinchClient;
  var Countersign: typeof everything;
}

// `currentScript` is known only while the script runs for the first time.
const script = typeof document === "undefined" ? null : document.currentScript;
setScriptUrl(script !== null && "src" in script ? String(script.src) : null);

globalThis.SinchClient = everything.SinchClient;
globalThis.Countersign = everything;
