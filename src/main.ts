/**
 * The entry of the executable: hands the arguments on and turns the outcome into the exit code.
 * Here is the only place that ends the process, and what catches what nothing else caught.
 */

import { reportUnexpected } from "./cli/report.ts";
import { run } from "./cli/run.ts";
import { onSignals, signalExitCode } from "./cli/signals.ts";

// Set before anything else runs: a stack trace is never what a user gets to see.
process.on("uncaughtException", (error) => process.exit(reportUnexpected(error)));
process.on("unhandledRejection", (reason) => process.exit(reportUnexpected(reason)));
onSignals((signal) => process.exit(signalExitCode(signal)));

process.exit(await run(process.argv.slice(2)));
