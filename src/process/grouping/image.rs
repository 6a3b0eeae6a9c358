//! Where in its image a frame is that nobody has named: the one thing that survives address space randomisation.

use std::cell::OnceCell;

use crate::protocol::Event;
use crate::protocol::event::Frame;

/// The event's images, read when the first frame asks for them.
pub(super) struct Images<'a> {
    event: &'a Event,
    list: OnceCell<Vec<Image<'a>>>,
}

struct Image<'a> {
    start: u64,
    /// First address behind it; unknown if the client sent no size.
    end: Option<u64>,
    name: &'a str,
}

impl<'a> Images<'a> {
    pub(super) fn of(event: &'a Event) -> Self {
        Self { event, list: OnceCell::new() }
    }

    /// Name of the frame's image, in lower case, and the offset in it.
    pub(super) fn locate(&self, frame: &Frame) -> Option<(String, String)> {
        let address = number(frame.instruction_addr.as_deref()?)?;
        let package = frame.package.as_deref().map(base_name);
        let start = frame.image_addr.as_deref().and_then(number).filter(|start| *start <= address);
        let (name, start) = if let Some(known) = package.zip(start) {
            known
        } else {
            let image = self.holding(address)?;
            (package.unwrap_or(image.name), image.start)
        };
        Some((name.to_lowercase(), format!("+{:#x}", address - start)))
    }

    fn holding(&self, address: u64) -> Option<&Image<'a>> {
        let list = self.list.get_or_init(|| self.read());
        let behind = list.partition_point(|image| image.start <= address);
        let image = list.get(behind.checked_sub(1)?)?;
        image.end.is_none_or(|end| address < end).then_some(image)
    }

    /// The images with an address, by address.
    fn read(&self) -> Vec<Image<'a>> {
        let images = self.event.debug_meta.as_ref().map_or(&[][..], |meta| meta.images.as_slice());
        let mut list: Vec<Image<'a>> = images
            .iter()
            .filter_map(|image| {
                let address = image.get("image_addr")?;
                let start = address.as_u64().or_else(|| number(address.as_str()?))?;
                let size = image.get("image_size").and_then(serde_json::Value::as_u64);
                let name = image.get("code_file").and_then(serde_json::Value::as_str).unwrap_or_default();
                Some(Image { start, end: size.map(|size| start.saturating_add(size)), name: base_name(name) })
            })
            .collect();
        list.sort_by_key(|image| image.start);
        list
    }
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}
