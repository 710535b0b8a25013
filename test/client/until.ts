/** Waits for what no event tells: looks again every few milliseconds, for five seconds at most. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 5_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`still not true after 5 s: ${holds}`);
    await Bun.sleep(2);
  }
}
