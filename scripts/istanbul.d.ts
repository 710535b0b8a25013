/** What is used of a package that comes without types. */

declare module "istanbul-lib-instrument" {
  export interface Instrumenter {
    /** The source with counters in it. */
    instrumentSync(source: string, path: string): string;
    /** The counts of that source, all zero. */
    lastFileCoverage(): object;
  }

  export function createInstrumenter(options: {
    readonly esModules: boolean;
    readonly parserPlugins: readonly string[];
    readonly coverageVariable: string;
  }): Instrumenter;
}
