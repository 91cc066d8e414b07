//! Times and ratios, as distributions.

use std::time::Duration;

use hdrhistogram::Histogram;

type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Ratios are kept as integers, in ten-thousandths.
const RATIO_UNIT: f64 = 10_000.0;

/// The times of one thing.
pub struct Times(Histogram<u64>);

impl Times {
    pub fn new() -> Result<Self, Trouble> {
        Ok(Self(Histogram::new(3)?))
    }

    pub fn add(&mut self, time: Duration) -> Result<(), Trouble> {
        self.0.record(u64::try_from(time.as_nanos())?)?;
        Ok(())
    }

    pub fn median(&self) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(0.5))
    }

    /// One line of the table.
    pub fn line(&self, name: &str) -> String {
        let ms = |ns: u64| format!("{:>9.3}", ns as f64 / 1e6);
        let at = |quantile| ms(self.0.value_at_quantile(quantile));
        format!(
            "  {name:<34}{}{}{}{}{:>8}",
            ms(self.0.min()),
            at(0.5),
            at(0.95),
            ms(self.0.max()),
            self.0.len()
        )
    }
}

/// The head of the table that [`Times::line`] makes lines of.
pub fn head() -> String {
    format!(
        "  {:<34}{:>9}{:>9}{:>9}{:>9}{:>8}",
        "ms", "min", "median", "p95", "max", "samples"
    )
}

/// The same thing done by the engine and by plain mysql_async, in turn: what slows the machine down
/// for a while slows both sides of a pair.
pub struct Pairs {
    pub engine: Times,
    pub plain: Times,
    ratios: Histogram<u64>,
}

impl Pairs {
    pub fn new() -> Result<Self, Trouble> {
        Ok(Self {
            engine: Times::new()?,
            plain: Times::new()?,
            ratios: Histogram::new(4)?,
        })
    }

    /// The times of one pair, and how many things each of the two times is the mean of.
    pub fn add(&mut self, engine: Duration, plain: Duration) -> Result<(), Trouble> {
        self.engine.add(engine)?;
        self.plain.add(plain)?;
        let ratio = engine.as_secs_f64() / plain.as_secs_f64();
        // Not below zero, and far from the type's end.
        self.ratios.record((ratio * RATIO_UNIT).round() as u64)?;
        Ok(())
    }

    /// The median of the pairs' ratios: the number that is claimed.
    pub fn ratio(&self) -> f64 {
        self.ratios.value_at_quantile(0.5) as f64 / RATIO_UNIT
    }

    /// The ratios in one line.
    pub fn line(&self) -> String {
        let at = |quantile| self.ratios.value_at_quantile(quantile) as f64 / RATIO_UNIT;
        let medians = self.engine.median().as_secs_f64() / self.plain.median().as_secs_f64();
        format!(
            "  engine / plain: {:.2} pair by pair in the median (p5 {:.2}, p95 {:.2}); {medians:.2} of the medians",
            self.ratio(),
            at(0.05),
            at(0.95)
        )
    }
}
