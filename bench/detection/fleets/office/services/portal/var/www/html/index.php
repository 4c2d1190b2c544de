<?php
require 'common.php';
rows("INSERT INTO visits (page) VALUES ('index')");
foreach (rows('SELECT id, title FROM documents ORDER BY changed DESC LIMIT 10') as $row)
    echo "<a href='document.php?id={$row['id']}'>" . htmlspecialchars($row['title']) . "</a>\n";
