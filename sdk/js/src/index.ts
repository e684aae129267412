/** The ES module, served as `/sdk/countersign.mjs`. */
import { setScriptUrl } from "./address.js";

setScriptUrl(import.meta.url);

export * from "./public.js";
