//! Level 2: the containers of the elements of a value.

use super::elements::located;
use super::stream::StreamNode;
use crate::error::ValueError;
use crate::pack::intset::Intset;
use crate::pack::listpack::Listpack;
use crate::pack::ziplist::Ziplist;
use crate::pack::zipmap::Zipmap;
use crate::scan::{Scanner, Unit};
use crate::string::Str;
use crate::text::Text;
use crate::type_id::{Class, TypeId};

/// Level 2 of a value: the containers of its elements. They are iterated in place; a compressed container is decompressed
/// first.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Encoding<'a> {
    /// A string or JSON text.
    Text(Text<'a>),
    /// One listpack: items, members, pairs or triples.
    Listpack(Listpack<'a>),
    /// One ziplist: items, members or pairs.
    Ziplist(Ziplist<'a>),
    /// One intset.
    Intset(Intset<'a>),
    /// One zipmap.
    Zipmap(Zipmap<'a>),
    /// The nodes of a list.
    Quicklist(Nodes<'a>),
    /// The nodes of a stream. The part after them is available as an element only.
    Stream(StreamNodes<'a>),
    /// The elements are stored in the payload one by one.
    Plain,
}

impl<'a> Encoding<'a> {
    pub(crate) fn of(type_id: TypeId, payload: &'a [u8]) -> Result<Self, ValueError> {
        let mut units = Units { scanner: Scanner::in_memory(type_id), input: payload, rest: payload };
        Ok(match (type_id, type_id.class()) {
            (TypeId::ListQuicklist | TypeId::ListQuicklist2, _) => Self::Quicklist(Nodes(units)),
            (_, Class::Stream) => Self::Stream(StreamNodes(units)),
            (TypeId::HashListpackEx, _) => {
                units.next()?;
                Self::one(type_id, units.next()?)?
            }
            _ if type_id.is_one_string() => Self::one(type_id, units.next()?)?,
            _ => Self::Plain,
        })
    }

    fn one(type_id: TypeId, unit: Option<Unit<'a>>) -> Result<Self, ValueError> {
        let Some(Unit::Whole(string)) = unit else { return Ok(Self::Plain) };
        Ok(match type_id {
            TypeId::String | TypeId::Json => Self::Text(string.text()?),
            TypeId::SetIntset => Self::Intset(Intset::new(string)?),
            TypeId::HashZipmap => Self::Zipmap(Zipmap::new(string)?),
            TypeId::ListZiplist | TypeId::SortedSetZiplist | TypeId::HashZiplist => {
                Self::Ziplist(Ziplist::new(string)?)
            }
            _ => Self::Listpack(Listpack::new(string)?),
        })
    }
}

#[derive(Debug, Clone)]
struct Units<'a> {
    scanner: Scanner,
    input: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Units<'a> {
    fn next(&mut self) -> Result<Option<Unit<'a>>, ValueError> {
        if self.scanner.is_done() {
            return Ok(None);
        }
        let (rest, unit) = self.scanner.next(self.rest).map_err(|error| located(error, self.input.len()))?;
        self.rest = rest;
        Ok(Some(unit))
    }

    /// Ends the iteration.
    fn stop(&mut self) {
        (self.input, self.rest) = (&[], &[]);
    }
}

/// A node of a list.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Node<'a> {
    /// One item.
    Plain(Text<'a>),
    /// Items in a listpack.
    Listpack(Listpack<'a>),
    /// Items in a ziplist.
    Ziplist(Ziplist<'a>),
}

/// The nodes of a list, from head to tail.
#[derive(Debug, Clone)]
pub struct Nodes<'a>(Units<'a>);

impl<'a> Iterator for Nodes<'a> {
    type Item = Result<Node<'a>, ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.input.is_empty() {
            let node = match self.0.next() {
                Ok(Some(Unit::PlainNode(item))) => item.text().map(Node::Plain),
                Ok(Some(Unit::PackedNode(node))) => packed(self.0.scanner.type_id(), node),
                Ok(Some(_)) => continue,
                Ok(None) => return None,
                Err(error) => Err(error),
            };
            if node.is_err() {
                self.0.stop();
            }
            return Some(node);
        }
        None
    }
}

fn packed(type_id: TypeId, node: Str<'_>) -> Result<Node<'_>, ValueError> {
    match type_id {
        TypeId::ListQuicklist => Ziplist::new(node).map(Node::Ziplist),
        _ => Listpack::new(node).map(Node::Listpack),
    }
}

/// The nodes of a stream, ascending.
#[derive(Debug, Clone)]
pub struct StreamNodes<'a>(Units<'a>);

impl<'a> Iterator for StreamNodes<'a> {
    type Item = Result<StreamNode<'a>, ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.input.is_empty() {
            let node = match self.0.next() {
                Ok(Some(Unit::StreamNode { first, listpack })) => {
                    Listpack::new(listpack).and_then(|listpack| StreamNode::new(first, &listpack))
                }
                Ok(Some(Unit::Silent)) => continue,
                Ok(_) => return None,
                Err(error) => Err(error),
            };
            if node.is_err() {
                self.0.stop();
            }
            return Some(node);
        }
        None
    }
}
