// Whether two samples of times differ.

export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function variance(values) {
  const average = mean(values);
  return values.reduce((sum, value) => sum + (value - average) ** 2, 0) / (values.length - 1);
}

/** Welch's t of two samples. */
export function welch(a, b) {
  const spread = Math.sqrt(variance(a) / a.length + variance(b) / b.length);
  return spread === 0 ? 0 : (mean(a) - mean(b)) / spread;
}

/** The samples without those above the common 95th percentile: pauses of the machine say nothing. */
export function withoutOutliers(...samples) {
  const all = samples.flat().sort((x, y) => x - y);
  const limit = all[Math.floor(all.length * 0.95)];
  return samples.map((sample) => sample.filter((value) => value <= limit));
}

/** The value below which this share of the sample lies. */
export function quantile(sample, share) {
  const sorted = [...sample].sort((x, y) => x - y);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
