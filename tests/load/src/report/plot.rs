//! One plot: a line for each target over the number of callers.

use super::escape;

/// What is drawn.
#[derive(Debug)]
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) scale: Scale,
    /// The places on the horizontal axis, evenly spread in their order.
    pub(crate) callers: Vec<u16>,
    pub(crate) series: Vec<Series>,
}

/// The values of one target, in the order of the callers.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// The number of its colour.
    pub(crate) class: usize,
    pub(crate) values: Vec<f64>,
}

/// How the vertical axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From zero: lengths can be compared.
    Linear,
    /// For what spans decades: distances are ratios.
    Logarithmic,
}

impl Plot<'_> {
    /// Returns the plot as SVG, coloured by the page's style.
    pub(crate) fn svg(&self) -> String {
        let axis = Axis::new(self.scale, self.series.iter().flat_map(|each| &each.values));
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n\
             <text class=\"title\" x=\"0\" y=\"13\">{title}</text>\
             <text x=\"{WIDTH}\" y=\"13\" text-anchor=\"end\">{}</text>\n",
            self.unit,
            title = self.title
        );
        for tick in &axis.ticks {
            let y = axis.y(*tick);
            svg.push_str(&format!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                LEFT - 6.0,
                y + 3.5,
                short(*tick)
            ));
        }
        for (place, callers) in self.callers.iter().enumerate() {
            svg.push_str(&format!(
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{callers}</text>\n",
                self.x(place),
                BOTTOM + 17.0
            ));
        }
        let y = BOTTOM + 17.0;
        svg.push_str(&format!("<text x=\"0\" y=\"{y}\">in flight</text>\n"));
        // The first series is the subject: it is drawn last, over the others.
        for series in self.series.iter().rev() {
            svg.push_str(&self.line(series, &axis));
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn line(&self, series: &Series, axis: &Axis) -> String {
        let points = || {
            let values = series.values.iter().enumerate();
            values.map(|(place, value)| (self.x(place), axis.y(*value)))
        };
        let path: Vec<_> = points().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let mut svg = format!(
            "<g class=\"s{}\"><polyline points=\"{}\"/>",
            series.class,
            path.join(" ")
        );
        let labels = self.callers.iter().zip(&series.values);
        for ((x, y), (callers, value)) in points().zip(labels) {
            svg.push_str(&format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"><title>{}, {callers} in flight: {value:.1} {}</title></circle>",
                escape(&series.name),
                self.unit
            ));
        }
        svg.push_str("</g>\n");
        svg
    }

    fn x(&self, place: usize) -> f64 {
        let gaps = self.callers.len().saturating_sub(1).max(1) as f64;
        let inner = WIDTH - LEFT - 2.0 * MARGIN;
        LEFT + MARGIN + inner * place as f64 / gaps
    }
}

/// A vertical axis whose ends are ticks.
#[derive(Debug)]
struct Axis {
    scale: Scale,
    ticks: Vec<f64>,
}

impl Axis {
    fn new<'a>(scale: Scale, values: impl Iterator<Item = &'a f64>) -> Self {
        let values: Vec<f64> = values.copied().filter(|value| *value > 0.0).collect();
        let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let least = values.iter().copied().fold(most, f64::min);
        let ticks = match scale {
            Scale::Linear => {
                let step = round_up(most / 5.0);
                let count = (most / step).ceil();
                (0..=5_u8)
                    .map(f64::from)
                    .filter(|number| *number <= count)
                    .map(|number| number * step)
                    .collect()
            }
            Scale::Logarithmic => {
                let mut ticks = vec![round_down(least)];
                while let Some(last) = ticks.last().copied().filter(|last| *last < most) {
                    // The next one of 1, 2, 5 times a power of ten.
                    ticks.push(round_up(last * 1.5));
                }
                ticks
            }
        };
        Self { scale, ticks }
    }

    fn y(&self, value: f64) -> f64 {
        let least = self.ticks.first().copied().unwrap_or(0.0);
        let most = self.ticks.last().copied().unwrap_or(1.0);
        let value = value.clamp(least, most);
        let share = match self.scale {
            Scale::Linear => (value - least) / (most - least),
            Scale::Logarithmic => (value / least).ln() / (most / least).ln(),
        };
        // All values are one tick: a line in the middle.
        let share = if share.is_finite() { share } else { 0.5 };
        BOTTOM - share * (BOTTOM - TOP)
    }
}

/// Returns the least of 1, 2 and 5 times a power of ten that is not below `value`.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    // Rounding of the logarithm must not leave a value just above its own step.
    let least = value * (1.0 - 1e-9);
    steps
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(value)
}

/// Returns the greatest of 1, 2 and 5 times a power of ten that is not above `value`.
fn round_down(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [5.0, 2.0, 1.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step <= value)
        .unwrap_or(power)
}

/// Returns a tick in few characters, such as `20k`.
fn short(value: f64) -> String {
    if value >= 1000.0 {
        return format!("{}k", value / 1000.0);
    }
    // Ticks have one digit that counts; what the product of step and number adds is noise.
    format!("{}", (value * 1000.0).round() / 1000.0)
}

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 44.0;
const MARGIN: f64 = 14.0;
const TOP: f64 = 32.0;
const BOTTOM: f64 = 204.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale, values: &[f64]) -> Vec<f64> {
        Axis::new(scale, values.iter()).ticks
    }

    #[test]
    fn axes_end_at_round_numbers_around_the_values() {
        let linear = axis(Scale::Linear, &[3.0, 83_000.0]);
        assert_eq!(
            linear,
            [0.0, 20_000.0, 40_000.0, 60_000.0, 80_000.0, 100_000.0]
        );
        let logarithmic = axis(Scale::Logarithmic, &[156.0, 1700.0]);
        assert_eq!(logarithmic, [100.0, 200.0, 500.0, 1000.0, 2000.0]);
        assert_eq!(short(20_000.0), "20k");
    }

    #[test]
    fn every_value_lies_inside_the_frame_and_greater_is_higher() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let values = [0.0, 1.0, 7.0, 4e5];
            let axis = Axis::new(scale, values.iter());
            let places = values.map(|value| axis.y(value));
            assert!(
                places.iter().all(|y| (TOP..=BOTTOM).contains(y)),
                "{places:?}"
            );
            assert!(places.is_sorted_by(|low, high| low >= high), "{places:?}");
        }
    }

    #[test]
    fn no_values_and_one_value_are_drawn_too() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            assert!(Axis::new(scale, [].iter()).y(0.0).is_finite());
            assert!(Axis::new(scale, [100.0].iter()).y(100.0).is_finite());
        }
    }

    #[test]
    fn a_plot_has_a_line_per_series_and_a_point_per_value() {
        let series = |name: &str, class| Series {
            name: name.to_owned(),
            class,
            values: vec![10.0, 20.0, 30.0],
        };
        let plot = Plot {
            title: "Rate",
            unit: "requests/s",
            scale: Scale::Linear,
            callers: vec![1, 8, 64],
            series: vec![series("a", 0), series("b", 1)],
        };
        let svg = plot.svg();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("<circle").count(), 6);
        assert!(svg.contains("<title>b, 64 in flight: 30.0 requests/s</title>"));
    }
}
