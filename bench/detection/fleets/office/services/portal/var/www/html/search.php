<?php
require 'common.php';
// What is asked for becomes part of the statement: the hole.
foreach (rows("SELECT id, title FROM documents WHERE title LIKE '%{$_GET['q']}%' LIMIT 20") as $row)
    echo htmlspecialchars(implode(' ', $row)) . "\n";
