/** The SDK's version, as in `package.json`; the gateway logs it. */
export const version = "0.1.0";
