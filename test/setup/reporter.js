import { writeFileSync } from 'node:fs';
import { DefaultReporter } from '@jest/reporters';

/**
 * Jest's usual report, and as the very last line `N passed, N failed`; a suite that broke counts as one failure.
 * Under `npm test` the driver writes that line, after this process has ended.
 */
export default class ClosingLineReporter extends DefaultReporter {
  /**
   * @override
   * @param {Set<import('@jest/reporters').TestContext>} [_contexts]
   * @param {import('@jest/reporters').AggregatedResult} [results]
   */
  onRunComplete(_contexts, results) {
    super.onRunComplete();
    if (!results) return;
    const brokenSuites = results.testResults.filter(
      (suite) => suite.testExecError && suite.numFailingTests === 0,
    ).length;
    const passed = results.numPassedTests;
    const failed = results.numFailedTests + brokenSuites;
    const summary = process.env.E3_TEST_SUMMARY;
    if (summary) writeFileSync(summary, JSON.stringify({ passed, failed }));
    else process.once('exit', () => process.stdout.write(`${passed} passed, ${failed} failed\n`));
  }
}
