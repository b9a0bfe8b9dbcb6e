import { DefaultReporter } from '@jest/reporters';

/** Jest's usual report, and as the very last line `N passed, N failed`; a suite that broke counts as one failure. */
export default class ClosingLineReporter extends DefaultReporter {
  onRunComplete(contexts, results) {
    super.onRunComplete?.(contexts, results);
    const brokenSuites = results.testResults.filter(
      (suite) => suite.testExecError && suite.numFailingTests === 0,
    ).length;
    const failed = results.numFailedTests + brokenSuites;
    process.once('exit', () => process.stdout.write(`${results.numPassedTests} passed, ${failed} failed\n`));
  }
}
