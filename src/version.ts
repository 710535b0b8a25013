/** The version of this build: set when the executable is compiled, `0.0.0-dev` from source. */

declare const KV_VERSION: string;

export const VERSION: string = typeof KV_VERSION === "string" ? KV_VERSION : "0.0.0-dev";
