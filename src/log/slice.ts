/** The slices of long work, where the log looks for them. */

export { Slice } from "../slice.ts";
